"""Windows of a series and their embeddings, which a ridge head is fitted on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

#: Features whose inner products are computed at once, which bounds the memory in float64.
COLUMNS_AT_ONCE = 1024

#: Share of the largest variance below which a principal component is rounding error. The smallest
#: penalty is a billion times larger.
NEGLIGIBLE = 1e-13


@dataclass
class WindowTable:
    """Windows and their embeddings, one row per window.

    Attributes
    ----------
    windows : ndarray of shape (n, 1 + n_exogenous, length)
        Windows of the series, followed by the windows of its exogenous variables.
    embeddings : ndarray of shape (n, n_features)
        Embeddings of the windows.
    steps : ndarray of shape (n_steps,), int
        Steps ahead to forecast, from 1 on.
    floor : float
        Smallest unit of a window.
    """

    windows: np.ndarray
    embeddings: np.ndarray
    steps: np.ndarray
    floor: float

    @property
    def scale(self) -> np.ndarray:
        """Unit of each window, of shape (n, 1): its standard deviation, but at least the floor."""
        series = self.windows[:, 0]
        std = series.std(axis=-1, keepdims=True)
        return np.maximum(std, self.floor)

    @cached_property
    def embedding_block(self) -> EmbeddingBlock:
        """Standardized embeddings, computed once for all designs."""
        return EmbeddingBlock.of(self.embeddings)

    def rotated(self) -> WindowTable:
        """Return a table with at most as many features as windows, of the same inner products.

        Ridge regression depends on the embeddings by their inner products alone.
        """
        n_windows, n_features = self.embeddings.shape
        if n_features <= n_windows:
            return self
        return replace(self, embeddings=_principal_components(self.embeddings))

    def take(self, rows: np.ndarray) -> WindowTable:
        """Return a table of some of the windows."""
        return WindowTable(
            windows=self.windows[rows],
            embeddings=self.embeddings[rows],
            steps=self.steps,
            floor=self.floor,
        )


@dataclass(frozen=True)
class EmbeddingBlock:
    """Embeddings of windows, standardized to a total variance of 1.

    Attributes
    ----------
    values : ndarray of shape (n, n_features)
        Standardized embeddings.
    factor : float
        Factor of the standardization.
    """

    values: np.ndarray
    factor: float

    @classmethod
    def of(cls, embeddings: np.ndarray) -> EmbeddingBlock:
        """Standardize embeddings."""
        embeddings = embeddings.astype(np.float64)
        mean, factor = standardization(embeddings)
        return cls((embeddings - mean) * factor, factor)

    @cached_property
    def spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues and eigenvectors of the inner products of windows."""
        return np.linalg.eigh(self.values @ self.values.T)

    def dual_coefficients(
        self,
        lags: np.ndarray,
        weight: float,
        target: np.ndarray,
        penalties: np.ndarray,
    ) -> np.ndarray:
        """Return ridge coefficients of windows, for more features than windows.

        The inner products of the embeddings are decomposed once, for all designs and penalties. The
        Woodbury identity then adds the lags.

        Parameters
        ----------
        lags : ndarray of shape (n, n_lags)
            Standardized lags.
        weight : float
            Weight of the embeddings.
        target : ndarray of shape (n, n_steps)
            Targets.
        penalties : ndarray of shape (n_alphas,)
            Penalties.

        Returns
        -------
        ndarray of shape (n_alphas, n, n_steps)
            Coefficients of the windows, whose features they combine.
        """
        eigenvalues, eigenvectors = self.spectrum
        products = weight**2 * np.maximum(eigenvalues, 0.0)
        rotated_lags = eigenvectors.T @ lags
        rotated_target = eigenvectors.T @ target
        identity = np.eye(lags.shape[1])
        coefficients = []
        for penalty in penalties:
            inverse = 1 / (products + penalty)[:, np.newaxis]
            scaled_lags = inverse * rotated_lags
            scaled_target = inverse * rotated_target
            inner = identity + rotated_lags.T @ scaled_lags
            of_lags = np.linalg.solve(inner, rotated_lags.T @ scaled_target)
            coefficients.append(scaled_target - scaled_lags @ of_lags)
        return eigenvectors @ np.stack(coefficients)


def _principal_components(embeddings: np.ndarray) -> np.ndarray:
    """Return the principal components of n embeddings, at most n of them."""
    n_windows, n_features = embeddings.shape
    products = np.zeros((n_windows, n_windows))
    for start in range(0, n_features, COLUMNS_AT_ONCE):
        columns = embeddings[:, start : start + COLUMNS_AT_ONCE].astype(np.float64)
        columns -= columns.mean(axis=0)
        products += columns @ columns.T
    eigenvalues, eigenvectors = np.linalg.eigh(products)
    is_signal = eigenvalues > NEGLIGIBLE * eigenvalues[-1]
    return eigenvectors[:, is_signal] * np.sqrt(eigenvalues[is_signal])


def standardization(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the mean, and the factor that gives features a total variance of 1."""
    mean = values.mean(axis=0)
    variances = ((values - mean) ** 2).mean(axis=0)
    std = np.sqrt(variances.sum())
    if std > 0:
        return mean, 1 / std
    return mean, 0.0
