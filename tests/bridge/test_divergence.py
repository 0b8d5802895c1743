"""No NaN leaves an estimator in silence: divergence up to the last step, and extreme weights."""

from __future__ import annotations

import numpy as np
import pytest
from fine_tuners import FREQUENCY, LABELS, X, classifier, regressor
from quick import quick

from fei_sklearn._bridge.divergence import ROWS_AT_ONCE, check_converged, warn_of_infinities

#: One step in all, so that there is no loss after it.
ONE_STEP = {"max_epochs": 1, "batch_size": 64}

#: From a learning rate to what an estimator gives on finite series after that one step.
USES = {
    "classifier": lambda rate: (
        classifier(**ONE_STEP, learning_rate=rate).fit(X, LABELS).predict_proba(X)
    ),
    "regressor": lambda rate: (
        regressor(**ONE_STEP, learning_rate=rate).fit(X, FREQUENCY).predict(X)
    ),
    "head": lambda rate: (
        regressor(**ONE_STEP, learning_rate=rate, freeze_encoder=True).fit(X, FREQUENCY).predict(X)
    ),
    "embedder": lambda rate: (
        quick(max_epochs=1, validation_fraction=None, learning_rate=rate).fit(X).transform(X)
    ),
    "stream": lambda rate: quick(learning_rate=rate).partial_fit(X).transform(X),
    "second-chunk": lambda rate: (
        quick(learning_rate=rate).partial_fit(X).partial_fit(X).transform(X)
    ),
}


@pytest.mark.parametrize("rate", [30.0, 1e3, 1e10, 1e40])
@pytest.mark.parametrize("use", USES)
def test_divergence_in_the_last_step_is_an_error(use, rate):
    try:
        outputs = USES[use](rate)
    except ValueError as error:
        assert f"learning_rate (now {rate:g})" in str(error)
        return
    assert np.isfinite(outputs).all()


@pytest.mark.parametrize("use", ["classifier", "regressor", "stream", "second-chunk"])
def test_that_is_seen(use):
    with pytest.raises(ValueError, match="Lower learning_rate"):
        USES[use](1e3)


def test_a_diverged_fit_leaves_the_last_one():
    model = classifier(max_epochs=1).fit(X, LABELS)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="diverged"):
        model.set_params(**ONE_STEP, learning_rate=30.0).fit(X, LABELS)
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_a_warning_counts_embeddings_that_are_not_finite():
    fitted = quick().fit(X)
    name = next(name for name in fitted.weights_ if name.endswith("weight"))
    fitted.weights_ = fitted.weights_ | {name: fitted.weights_[name] * np.float32(1e38)}
    with pytest.warns(RuntimeWarning, match="The embeddings of 40 of 40 series hold NaN"):
        fitted.transform(X)


def test_rows_are_counted_in_all_blocks():
    embeddings = np.zeros((2 * ROWS_AT_ONCE + 1, 3))
    embeddings[[0, -1], 1] = np.nan, np.inf
    with pytest.warns(RuntimeWarning, match="of 2 of 513 series"):
        warn_of_infinities(embeddings)


def test_padding_of_steps_is_no_divergence():
    embeddings = np.zeros((2, 5, 3))
    embeddings[1, 3:] = np.nan
    warn_of_infinities(embeddings)


def test_integers_count_as_finite():
    check_converged([np.arange(3)], 0.1)
