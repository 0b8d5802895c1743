"""Weighted ridge regression on standardised features, in little more memory than the features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve

#: Standard deviation, relative to the largest mean, up to which a feature counts as constant.
CONSTANT_FEATURE = 1e-6

#: Weight, relative to the largest, up to which a sample counts as absent. Its inverse is added to
#: the Gram matrix, where it would hide the features of all other samples.
NEGLIGIBLE_WEIGHT = 1e-12

#: Values of the features that are converted to float64 at once.
BLOCK_VALUES = 2**18


@dataclass(frozen=True)
class StandardisedFeatures:
    """Rows of a matrix of features, standardised in float64 when they are read.

    Attributes
    ----------
    features : ndarray of shape (n_all, n_features), floating
        All features; no copy of them is made.
    rows : ndarray of int, of shape (n_samples,)
        Rows that are read.
    centre, scale : ndarray of shape (n_features,)
        Mean and standard deviation of each feature, or one deviation for all; 1 where it is 0.
    """

    features: np.ndarray
    rows: np.ndarray
    centre: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(
        cls,
        features: np.ndarray,
        rows: np.ndarray,
        weights: np.ndarray | None = None,
        *,
        one_scale: bool = False,
    ) -> StandardisedFeatures:
        """Compute mean and standard deviation of some rows.

        Parameters
        ----------
        features : ndarray of shape (n_all, n_features)
            All features.
        rows : ndarray of int, of shape (n_samples,)
            Rows of the statistics.
        weights : ndarray of shape (n_samples,), default=None
            Weights of these rows; None gives all the same weight.
        one_scale : bool, default=False
            Whether the root mean square of all deviations scales every feature.
        """
        n_features = features.shape[1]
        centre = np.empty(n_features)
        scale = np.empty(n_features)
        for part in _parts(n_features, len(rows)):
            block = features[rows, part].astype(np.float64)
            if weights is None:
                centre[part] = block.mean(axis=0)
                scale[part] = block.std(axis=0)
                continue
            centre[part] = np.average(block, axis=0, weights=weights)
            variance = np.average((block - centre[part]) ** 2, axis=0, weights=weights)
            scale[part] = np.sqrt(variance)
        if one_scale:
            scale[:] = np.sqrt(np.mean(scale**2))
        largest_mean = np.abs(centre).max()
        varies = scale > CONSTANT_FEATURE * largest_mean
        return cls(features, rows, centre, np.where(varies, scale, 1.0))

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of samples and of features."""
        return len(self.rows), self.features.shape[1]

    def columns(self, part: slice) -> np.ndarray:
        """Return some features of all samples."""
        block: np.ndarray = self.features[self.rows, part].astype(np.float64)
        block -= self.centre[part]
        block /= self.scale[part]
        return block

    def samples(self, samples: np.ndarray) -> np.ndarray:
        """Return all features of some samples."""
        block: np.ndarray = self.features[self.rows[samples]].astype(np.float64)
        block -= self.centre
        block /= self.scale
        return block


class Ridge(ABC):
    """Ridge regression on subsets of the same samples, with an intercept that is not penalised.

    Parameters
    ----------
    features : StandardisedFeatures
        Features of the samples.
    penalty : float
        Weight of the squared norm of the coefficients against the sum of squared errors.
    """

    def __init__(self, features: StandardisedFeatures, penalty: float) -> None:
        self.features = features
        self.penalty = penalty

    @abstractmethod
    def fit(self, samples: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Ridge:
        """Fit some samples.

        Parameters
        ----------
        samples : ndarray of int, of shape (n_fitted,)
            The samples.
        targets : ndarray of shape (n_fitted, n_outputs)
            Their targets.
        weights : ndarray of shape (n_fitted,)
            Their weights. At least one is positive.
        """

    @abstractmethod
    def predict(self, samples: np.ndarray) -> np.ndarray:
        """Return outputs of shape (n_predicted, n_outputs)."""

    @abstractmethod
    def weight_and_bias(self) -> tuple[np.ndarray, np.ndarray]:
        """Return arrays of shape (n_outputs, n_features) and (n_outputs,)."""


def ridge(features: StandardisedFeatures, penalty: float) -> Ridge:
    """Return the form of ridge regression whose system of equations is the smaller one."""
    n_samples, n_features = features.shape
    if n_features > n_samples:
        return DualRidge(features, penalty)
    return PrimalRidge(features, penalty)


class DualRidge(Ridge):
    """Ridge regression by the Gram matrix, which is computed once, for few samples.

    Parameters are those of :class:`Ridge`.
    """

    def __init__(self, features: StandardisedFeatures, penalty: float) -> None:
        super().__init__(features, penalty)
        n_samples, n_features = features.shape
        self.gram = np.zeros((n_samples, n_samples))
        for part in _parts(n_features, n_samples):
            block = features.columns(part)
            self.gram += block @ block.T

    def fit(self, samples: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> DualRidge:
        """Solve for one dual coefficient per sample and output, which sum to zero."""
        counts = weights > NEGLIGIBLE_WEIGHT * weights.max()
        self.fitted = samples[counts]
        system = self.gram[np.ix_(self.fitted, self.fitted)]
        diagonal = np.arange(len(system))
        system[diagonal, diagonal] += self.penalty / weights[counts]
        ones = np.ones((len(system), 1))
        right_sides = np.hstack([targets[counts], ones])
        solution = _solved(system, right_sides)
        of_targets = solution[:, :-1]
        of_ones = solution[:, -1]
        self.bias = of_targets.sum(axis=0) / of_ones.sum()
        self.dual = of_targets - np.outer(of_ones, self.bias)
        return self

    def predict(self, samples: np.ndarray) -> np.ndarray:
        """Return outputs of shape (n_predicted, n_outputs)."""
        outputs: np.ndarray = self.gram[np.ix_(samples, self.fitted)] @ self.dual + self.bias
        return outputs

    def weight_and_bias(self) -> tuple[np.ndarray, np.ndarray]:
        """Return arrays of shape (n_outputs, n_features) and (n_outputs,)."""
        n_samples, n_features = self.features.shape
        weight = np.empty((self.dual.shape[1], n_features))
        for part in _parts(n_features, n_samples):
            block = self.features.columns(part)[self.fitted]
            weight[:, part] = self.dual.T @ block
        return weight, self.bias


class PrimalRidge(Ridge):
    """Ridge regression by the covariance matrix of the features, for few features."""

    def fit(self, samples: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> PrimalRidge:
        """Solve for one coefficient per feature and output."""
        total = weights.sum()
        mean_target = weights @ targets / total
        _, n_features = self.features.shape
        mean = np.zeros(n_features)
        for part in _parts(len(samples), n_features):
            mean += weights[part] @ self.features.samples(samples[part]) / total
        system = self.penalty * np.eye(n_features)
        right_sides = np.zeros((n_features, targets.shape[1]))
        for part in _parts(len(samples), n_features):
            block = self.features.samples(samples[part])
            block -= mean
            weighted = block.T * weights[part]
            system += weighted @ block
            right_sides += weighted @ (targets[part] - mean_target)
        self.coefficients = _solved(system, right_sides)
        self.bias = mean_target - mean @ self.coefficients
        return self

    def predict(self, samples: np.ndarray) -> np.ndarray:
        """Return outputs of shape (n_predicted, n_outputs)."""
        n_features, n_outputs = self.coefficients.shape
        outputs = np.empty((len(samples), n_outputs))
        for part in _parts(len(samples), n_features):
            block = self.features.samples(samples[part])
            outputs[part] = block @ self.coefficients + self.bias
        return outputs

    def weight_and_bias(self) -> tuple[np.ndarray, np.ndarray]:
        """Return arrays of shape (n_outputs, n_features) and (n_outputs,)."""
        weight: np.ndarray = self.coefficients.T
        return weight, self.bias


def _solved(system: np.ndarray, right_sides: np.ndarray) -> np.ndarray:
    """Solve a positive definite system in place."""
    solution: np.ndarray = solve(
        system, right_sides, assume_a="pos", overwrite_a=True, overwrite_b=True
    )
    return solution


def _parts(n: int, n_across: int) -> Iterator[slice]:
    """Yield consecutive slices of a range, along each of whose numbers lie `n_across` values."""
    size = max(BLOCK_VALUES // n_across, 1)
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
