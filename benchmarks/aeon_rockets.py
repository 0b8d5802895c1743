"""MiniRocket, MultiRocket and Hydra of aeon as transformers of panels.

aeon forces other versions of NumPy and numba than ``constraints.txt`` pins, so it needs an
environment of its own:

    python -m venv VENV
    VENV/bin/pip install -c constraints.txt torch
    VENV/bin/pip install -e ".[aeon]"
"""

from __future__ import annotations

import numpy as np
from ucr_sets import Split

#: Series that Hydra convolves at once; more of them leave the cache and take gigabytes.
_ROWS_AT_ONCE = 32


class AeonRocket:
    """A rocket of aeon on one thread.

    Parameters
    ----------
    name : {"MiniRocket", "MultiRocket", "HydraTransformer"}
        Class of aeon.
    """

    def __init__(self, name: str) -> None:
        from aeon.transformations.collection import convolution_based

        self.transformer = getattr(convolution_based, name)(random_state=0, n_jobs=1)

    def fit(self, X: np.ndarray) -> AeonRocket:
        self.transformer.fit(X.astype(np.float32))
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(self.transformer.transform(X.astype(np.float32)), dtype=np.float32)


class Hydra(AeonRocket):
    """Hydra of aeon, some series at a time."""

    def __init__(self) -> None:
        super().__init__("HydraTransformer")

    def transform(self, X: np.ndarray) -> np.ndarray:
        starts = range(0, len(X), _ROWS_AT_ONCE)
        blocks = [X[start : start + _ROWS_AT_ONCE] for start in starts]
        return np.concatenate([super(Hydra, self).transform(block) for block in blocks])


def sparse_scaled(features: Split) -> Split:
    """Return Hydra's features as the classifiers of aeon scale them."""
    import torch
    from aeon.classification.convolution_based._hydra import _SparseScaler

    scaler = _SparseScaler()
    train = scaler.fit_transform(torch.from_numpy(features.X_train))
    test = scaler.transform(torch.from_numpy(features.X_test))
    return features._replace(X_train=train.numpy(), X_test=test.numpy())
