"""MiniRocket of sktime as transformers of panels. They need numba."""

from __future__ import annotations

import numpy as np


class MiniRocket:
    """MiniRocket for panels of shape (n_samples, 1, n_timepoints)."""

    def __init__(self, seed: int) -> None:
        from sktime.transformations.panel.rocket import MiniRocket as Transformer

        self.transformer = Transformer(random_state=seed, n_jobs=1)

    def fit(self, X: np.ndarray) -> MiniRocket:
        self.transformer.fit(X.astype(np.float64))
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        features = self.transformer.transform(X.astype(np.float64))
        return features.to_numpy()


class MultivariateMiniRocket:
    """MiniRocket for panels of several channels."""

    def fit(self, X: np.ndarray) -> MultivariateMiniRocket:
        from sktime.transformations.panel.rocket import MiniRocketMultivariate

        self.transformer = MiniRocketMultivariate(random_state=0, n_jobs=1)
        self.transformer.fit(X.astype(np.float64))
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        return self.transformer.transform(X.astype(np.float64)).to_numpy()
