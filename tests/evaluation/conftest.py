"""Fixtures of the evaluation: fitted embedders, a folder of sets, and a spy on fine-tuners."""

from __future__ import annotations

import numpy as np
import pytest
from quick import quick
from tiny_sets import sines, write

from fei_sklearn import FEIClassifier, FEIRegressor


@pytest.fixture(scope="session")
def fitted():
    """Embedder with the paper's readout."""
    X, _ = sines(20)
    return quick(max_epochs=1, pooling="mean").fit(X)


@pytest.fixture
def folder(tmp_path):
    """Folder of the two sets "a" and "b"."""
    path = tmp_path / "sets"
    path.mkdir()
    write(path, "a")
    write(path, "b")
    return path


class TunerSpy:
    """Keep the arguments of fine-tuners, and fit them for one epoch.

    Attributes
    ----------
    params : list of dict
        Parameters of each fine-tuner.
    panels, targets : list of ndarray
        Arguments of `fit`.
    splits : list of (ndarray, ndarray)
        Rows that train and rows that validate.
    """

    def __init__(self):
        self.params = []
        self.panels = []
        self.targets = []
        self.splits = []

    def wrap(self, fit):
        """Return a method in place of `fit`."""

        def spied_fit(tuner, X, y):
            self.params.append(tuner.get_params())
            self.panels.append(X)
            self.targets.append(y)
            self.splits.append(tuner._split(np.asarray(y), None))
            tuner.set_params(max_epochs=1)
            return fit(tuner, X, y)

        return spied_fit


@pytest.fixture
def tuners(monkeypatch):
    """Spy on all fine-tuners."""
    spy = TunerSpy()
    monkeypatch.setattr(FEIClassifier, "fit", spy.wrap(FEIClassifier.fit))
    monkeypatch.setattr(FEIRegressor, "fit", spy.wrap(FEIRegressor.fit))
    return spy


@pytest.fixture
def failures():
    """List of (name, message), and the callback that fills the list."""
    return FailureList()


class FailureList(list):
    """Failures of an evaluation as (name, message)."""

    def note(self, where, error):
        """Add a failure; the argument `on_failure` of `evaluate`."""
        self.append((where, str(error)))
