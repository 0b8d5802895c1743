"""MiniRocket of sktime as a transformer of panels. It needs numba."""

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
