"""Every warning of the package names the user's line, and renamed arguments do what they did."""

from __future__ import annotations

import inspect
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from quick import quick, walks
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

import fei_sklearn
from fei_sklearn import FEIClassifier
from fei_sklearn._warnings import renamed_argument
from fei_sklearn.adapters.forecasting import FEIForecaster
from fei_sklearn.adapters.frames import from_long
from fei_sklearn.adapters.sktime import FEITransformer
from fei_sklearn.training import train

X = walks(20)
Y = np.arange(20) % 2


class Blind(nn.Module):
    """Encoder that gives all series the same embedding."""

    def __init__(self, n_channels):
        super().__init__()
        self.layer = nn.Conv1d(n_channels, 8, 1)

    def forward(self, x):
        """Return maps of the biases alone."""
        return self.layer(0 * x)


def without_common_times():
    """Return a long frame of series that share hardly a time."""
    time = np.random.default_rng(0).permutation(60)
    return pd.DataFrame({"id": np.repeat([*range(6)], 10), "t": time, "v": np.arange(60.0)})


def classifier_of_fitted():
    """Return a classifier that pretrains a fitted embedder again."""
    return FEIClassifier(quick(max_epochs=0).fit(X), max_epochs=0)


def exploding():
    """Return a fitted embedder whose weights overflow."""
    fitted = quick().fit(X)
    name = next(name for name in fitted.weights_ if name.endswith("weight"))
    fitted.weights_ = fitted.weights_ | {name: fitted.weights_[name] * np.float32(1e38)}
    return fitted


@renamed_argument("size", "width", removed_in="0.3")
def area(height, *, width=1):
    """Return the area of a rectangle."""
    return height * width


CALLS = {
    "collapse": lambda: quick(encoder=Blind).fit(X),
    "collapse in fit_transform": lambda: quick(encoder=Blind).fit_transform(X),
    "collapse in partial_fit": lambda: quick(encoder=Blind).partial_fit(X),
    "collapse in a pipeline": lambda: make_pipeline(quick(encoder=Blind)).fit(X),
    "collapse in a classifier": lambda: FEIClassifier(quick(encoder=Blind), max_epochs=0).fit(X, Y),
    "no effect": lambda: quick(n_components=3).fit(X),
    "no effect in a search": lambda: GridSearchCV(
        make_pipeline(quick(n_components=3, max_epochs=0), LogisticRegression()),
        {"logisticregression__C": [1.0]},
        cv=2,
    ).fit(X, Y),
    "channels last": lambda: quick().fit(np.zeros((4, 12, 8)) + np.arange(8.0)),
    "fitted already": lambda: classifier_of_fitted().fit(X, Y),
    "fitted already, pipeline": lambda: make_pipeline(classifier_of_fitted()).fit(X, Y),
    "fitted already, forecaster": lambda: FEIForecaster(quick().fit(X[:, :1])).fit(
        pd.Series(np.arange(40.0)), fh=[1]
    ),
    "infinite embeddings": lambda: exploding().transform(X),
    "infinite embeddings in a pipeline": lambda: make_pipeline(exploding()).transform(X),
    "few common times": lambda: from_long(without_common_times(), id="id", time="t"),
    "few common times, sktime": lambda: FEITransformer(16, pooling="mean", max_epochs=0).fit(
        without_common_times().set_index(["id", "t"]).sort_index()
    ),
    "former name": lambda: area(2, size=3),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_warning_names_the_callers_line(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", "The default of config ``remember_data``")
        call()
    assert caught
    assert {Path(warning.filename).name for warning in caught} == {Path(__file__).name}


def test_the_package_warns_by_one_function():
    root = Path(fei_sklearn.__file__).parent
    callers = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if re.search(r"warnings\.warn\(|stacklevel", path.read_text(encoding="utf-8"))
    }
    assert callers == {"_warnings.py"}


# Renamed arguments


def test_present_name_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert area(2, width=3) == 6
        assert area(2) == 2


def test_former_name_warns_at_the_callers_line_and_works():
    with pytest.warns(FutureWarning, match=r"'size' of area\(\).*'width'.*version 0\.3") as caught:
        assert area(2, size=3) == 6
    assert caught[0].filename == __file__


def test_both_names_are_refused():
    with pytest.raises(TypeError, match=r"area\(\) got both 'width' and its former name 'size'"):
        area(2, width=3, size=3)


def test_signature_and_documentation_stay():
    assert list(inspect.signature(area).parameters) == ["height", "width"]
    assert area.__doc__ == "Return the area of a rectangle."


def test_train_accepts_the_former_name_of_the_run_folder():
    with (
        pytest.warns(FutureWarning, match="'checkpoints'"),
        pytest.raises(TypeError, match="missing 3 required positional arguments"),
    ):
        train(checkpoints=None)
