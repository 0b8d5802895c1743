"""MiniRocket, MultiRocket and ROCKET of sktime as transformers of panels. They need numba."""

from __future__ import annotations

import numpy as np


class SktimeRocket:
    """Transformer of sktime for panels of shape (n_samples, n_channels, n_timepoints)."""

    #: Names of sktime's classes for one channel and for several.
    univariate: str
    multivariate: str

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, X: np.ndarray) -> SktimeRocket:
        from sktime.transformations.panel import rocket

        name = self.univariate if X.shape[1] == 1 else self.multivariate
        self.transformer = getattr(rocket, name)(random_state=self.seed, n_jobs=1)
        self.transformer.fit(X.astype(np.float64))
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        features = self.transformer.transform(X.astype(np.float64))
        return features.to_numpy()


class MiniRocket(SktimeRocket):
    univariate = "MiniRocket"
    multivariate = "MiniRocketMultivariate"


class MultiRocket(SktimeRocket):
    univariate = "MultiRocket"
    multivariate = "MultiRocketMultivariate"


class Rocket(SktimeRocket):
    univariate = "Rocket"
    multivariate = "Rocket"
