"""Methods that change an estimator as a whole or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from quick import oscillations, quick, walks

from fei_sklearn import FEIClassifier, FEIEmbedder
from fei_sklearn._fitting.rollback import all_or_nothing


@pytest.mark.parametrize("error", [ValueError(), KeyboardInterrupt()], ids=repr)
def test_a_method_that_raises_leaves_the_attributes(error):
    class Estimator:
        @all_or_nothing
        def fit(self):
            self.kept = "new"
            self.added = 1
            del self.removed
            raise error

    estimator = Estimator()
    estimator.kept = "old"
    estimator.removed = "there"
    with pytest.raises(type(error)):
        estimator.fit()
    assert vars(estimator) == {"kept": "old", "removed": "there"}


@pytest.mark.parametrize("error", [None, RuntimeError("late")], ids=["fits", "fails"])
def test_a_refit_is_seen_as_a_whole_or_not_at_all(error, monkeypatch):
    panel = walks()
    wider = walks(n_channels=3)
    embedder = quick().fit(panel)
    before = embedder.transform(panel)
    keep = FEIEmbedder._keep
    seen = []

    def keep_and_look(self, *args):
        seen.append(embedder.transform(panel))
        keep(self, *args)
        seen.append(embedder.transform(panel))
        if error is not None:
            raise error

    monkeypatch.setattr(FEIEmbedder, "_keep", keep_and_look)
    if error is None:
        assert embedder.fit(wider) is embedder
        assert embedder.transform(wider).shape == (20, 48)
    else:
        with pytest.raises(RuntimeError, match="late"):
            embedder.fit(wider)
        seen.append(embedder.transform(panel))
    assert len(seen) >= 2
    for embeddings in seen:
        np.testing.assert_array_equal(embeddings, before)


def test_a_prediction_reads_one_state(monkeypatch):
    X, frequency = oscillations(40)
    model = FEIClassifier(quick(), max_epochs=1, random_state=0).fit(X, frequency)
    before = model.predict(X)
    embed = FEIClassifier._embed

    def refit_meanwhile(self, series):
        embeddings = embed(self, series)
        monkeypatch.undo()
        model.fit(X, np.where(frequency > 4, "fast", "slow"))
        return embeddings

    monkeypatch.setattr(FEIClassifier, "_embed", refit_meanwhile)
    np.testing.assert_array_equal(model.predict(X), before)
    assert set(model.predict(X)) == {"fast", "slow"}
