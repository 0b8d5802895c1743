"""Ridge regression of future values on lags and embeddings of windows, and the choice of its form.

The form is chosen on folds ordered in time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.linear_model import RidgeCV

from fei_sklearn.adapters._windows import MIN_WINDOWS

#: Values that a step is forecast as a difference from, by name.
DIFFERENCES = ("none", "first", "seasonal", "both")

#: Penalties of the ridge head, relative to the number of windows it is fitted on.
ALPHAS = np.logspace(-4, 2, 13)

#: Weights of the embeddings beside the lags that the folds choose from.
EMBEDDING_WEIGHTS = (0.0, 1.0)

#: Share by which embeddings must lower the error on the folds to be used beside the lags.
MARGIN = 0.05

#: Folds that choose the head and give the residuals of the intervals.
N_FOLDS = 5

#: Penalties of the regression on exogenous variables.
EXOGENOUS_ALPHAS = np.logspace(-3, 3, 13)

#: Features whose inner products are computed at once, which bounds the memory in float64.
COLUMNS_AT_ONCE = 1024

#: Share of the largest variance below which a principal component is rounding error. The smallest
#: penalty is a billion times larger.
NEGLIGIBLE = 1e-13

#: Training and test windows of a fold.
Fold = tuple[np.ndarray, np.ndarray]

#: Present names of attributes by those in pickles of the time when the head was called `_Head`.
_RENAMED = {
    "recipe": "design",
    "blocks": "standardizations",
    "spread": "residual_std",
    "freedom": "degrees_of_freedom",
}


@dataclass
class WindowTable:
    """Windows and their embeddings, one row per window.

    Attributes
    ----------
    windows : ndarray of shape (n, 1 + n_exogenous, length)
        Windows of the series, followed by those of its exogenous variables.
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
    def embedding_block(self) -> _EmbeddingBlock:
        """Standardized embeddings, computed once for all designs."""
        return _EmbeddingBlock.of(self.embeddings)

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
class HeadDesign:
    """Form of a head except for its penalty.

    Attributes
    ----------
    difference : {"none", "first", "seasonal", "both"}
        Kind of difference, as in :class:`fei_sklearn.adapters.sktime.FEIForecaster`.
    sp : int
        Time points per season.
    n_lags : int or None
        Number of lags; None for all of the window.
    embedding_weight : float
        Weight of the embeddings beside the lags.
    """

    difference: str
    sp: int
    n_lags: Integral | int | None
    embedding_weight: float

    def reference(
        self,
        windows: np.ndarray,
        steps: np.ndarray,
    ) -> np.ndarray:
        """Return the values that steps are differences from, (..., length) to (..., n_steps)."""
        if self.difference == "none":
            mean = windows.mean(axis=-1, keepdims=True)
            return np.repeat(mean, len(steps), axis=-1)
        last_value = windows[..., -1:]
        if self.difference == "first":
            return np.repeat(last_value, len(steps), axis=-1)
        last = windows.shape[-1] - 1
        seasons = -(-steps // self.sp)
        position = last + steps - seasons * self.sp
        same_season = windows[..., position]
        if self.difference == "seasonal":
            return same_season
        season_before = windows[..., [last - self.sp]]
        return same_season + seasons * (last_value - season_before)

    def lags(self, windows: np.ndarray) -> np.ndarray:
        """Return the latest differences within windows of shape (n, length)."""
        if self.difference in ("seasonal", "both"):
            windows = windows[:, self.sp :] - windows[:, : -self.sp]
        if self.difference in ("first", "both"):
            windows = windows[:, :-1] - windows[:, -1:]
        if self.difference == "none":
            windows = windows - windows.mean(axis=1, keepdims=True)
        if self.n_lags is None:
            return windows
        n_left_out = windows.shape[1] - int(self.n_lags)
        return windows[:, max(n_left_out, 0) :]


class RidgeHead:
    """Ridge regression of all steps on lags and embeddings, for all penalties at once.

    Parameters
    ----------
    design : HeadDesign
        Form of the head.

    Attributes
    ----------
    steps : ndarray of shape (n_steps,), int
        Steps ahead that the head forecasts.
    floor : float
        Smallest unit of a window.
    slope : ndarray of shape (n_exogenous,)
        Coefficients of exogenous differences.
    standardizations : list of (ndarray, float)
        Mean and factor of the lags, and of the embeddings if they have a weight.
    coefficients : ndarray of shape (n_alphas, n_features, n_steps)
        Coefficients for every penalty.
    alpha : float
        Chosen penalty.
    residual_std : ndarray of shape (n_steps,)
        Standard deviation of forecasts, in units of the windows.
    degrees_of_freedom : int
        Degrees of freedom of the standard deviation.
    """

    def __init__(self, design: HeadDesign) -> None:
        self.design = design

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, _RENAMED.get(name, name), value)

    def fit(
        self,
        table: WindowTable,
        future: np.ndarray,
        rotated: WindowTable | None = None,
    ) -> RidgeHead:
        """Fit the coefficients for every penalty.

        Parameters
        ----------
        table : WindowTable
            n windows.
        future : ndarray of shape (n, 1 + n_exogenous, n_steps)
            Values of the series and of its exogenous variables at the steps to forecast.
        rotated : WindowTable or None, default=None
            Result of ``table.rotated()``, if it is at hand.

        Returns
        -------
        RidgeHead
            The fitted head.
        """
        self.steps = table.steps
        self.floor = table.floor
        reference = self.design.reference(table.windows, table.steps)
        differences = future - reference
        self.slope = _exogenous_slope(differences)
        target = _without_exogenous(differences, self.slope) / table.scale
        lags = self._lags(table)
        mean, factor = _standardization(lags)
        self.standardizations = [(mean, factor)]
        standardized_lags = (lags - mean) * factor
        # no intercept: one would carry the drift of the past on, which costs more than it gains
        penalties = ALPHAS * len(target)
        weight = self.design.embedding_weight
        if weight == 0:
            self.coefficients = _ridge(standardized_lags, target, penalties)
            return self
        rotated = rotated or table.rotated()
        block = rotated.embedding_block
        embedding_mean = table.embeddings.mean(axis=0, dtype=np.float64)
        self.standardizations.append((embedding_mean, weight * block.factor))
        if table.embeddings.shape[1] + lags.shape[1] <= len(target):
            features = np.hstack([standardized_lags, weight * block.values])
            self.coefficients = _ridge(features, target, penalties)
        else:
            dual = block.dual_coefficients(standardized_lags, weight, target, penalties)
            features = self._features(table, lags)
            self.coefficients = features.T @ dual
        return self

    def forecasts(
        self,
        table: WindowTable,
        exogenous: np.ndarray | None,
    ) -> np.ndarray:
        """Return forecasts for every penalty.

        Parameters
        ----------
        table : WindowTable
            n windows.
        exogenous : ndarray of shape (n, n_exogenous, n_steps), or None
            Exogenous variables at the steps to forecast.

        Returns
        -------
        ndarray of shape (n_alphas, n, n_steps)
            Forecasts.
        """
        features = self._features(table, self._lags(table))
        reference = self.design.reference(table.windows, table.steps)
        differences = (features @ self.coefficients) * table.scale
        forecasts = differences + reference[:, 0]
        if exogenous is None:
            return forecasts
        effect = np.einsum("c,nch->nh", self.slope, exogenous - reference[:, 1:])
        return forecasts + effect

    def predict(
        self,
        table: WindowTable,
        exogenous: np.ndarray | None,
    ) -> np.ndarray:
        """Return forecasts for the chosen penalty, of shape (n, n_steps)."""
        chosen = list(ALPHAS).index(self.alpha)
        return self.forecasts(table, exogenous)[chosen]

    def choose(
        self,
        alpha: float,
        residuals: np.ndarray,
    ) -> RidgeHead:
        """Set the penalty, and the intervals by residuals in units of the windows."""
        self.alpha = alpha
        variance = (residuals**2).mean(axis=0)
        self.residual_std = np.sqrt(variance)
        # windows that are less than a horizon apart share most of their targets
        horizon = int(self.steps.max())
        n_apart = len(residuals) // horizon
        self.degrees_of_freedom = max(n_apart, 2)
        return self

    def _lags(self, table: WindowTable) -> np.ndarray:
        """Return the lags of windows in the windows' units, without exogenous effects."""
        windows = _without_exogenous(table.windows, self.slope)
        return self.design.lags(windows) / table.scale

    def _features(
        self,
        table: WindowTable,
        lags: np.ndarray,
    ) -> np.ndarray:
        """Return standardized lags and embeddings side by side."""
        groups = (lags, table.embeddings)
        standardized = []
        # a head of lags alone standardizes no embeddings
        for values, (mean, factor) in zip(groups, self.standardizations, strict=False):
            standardized.append((values - mean) * factor)
        return np.hstack(standardized)


@dataclass(frozen=True)
class _EmbeddingBlock:
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
    def of(cls, embeddings: np.ndarray) -> _EmbeddingBlock:
        """Standardize embeddings."""
        embeddings = embeddings.astype(np.float64)
        mean, factor = _standardization(embeddings)
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

        The inverse is that of the embeddings' inner products and a penalty, updated for the lags
        by the Woodbury identity. So one decomposition serves all designs and penalties.

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


@dataclass(frozen=True)
class _Candidate:
    """Design with its best penalty, the error on the folds, and the residuals there."""

    design: HeadDesign
    alpha: float
    error: float
    residuals: np.ndarray


@dataclass
class HeadSearch:
    """Choice of the head on folds ordered in time.

    Attributes
    ----------
    sp : int
        Time points per season.
    difference : {"auto", "none", "first", "seasonal", "both"}
        Kind of difference, or "auto" for a choice among all.
    lags : int or "auto"
        Number of lags, or "auto" for all of the window.
    embedding_weights : tuple of float, default=(0.0, 1.0)
        Weights of the embeddings to choose from. Without lags the weight is 1.
    """

    sp: int
    difference: str
    lags: int | str
    embedding_weights: tuple[float, ...] = EMBEDDING_WEIGHTS

    def fit(
        self,
        table: WindowTable,
        future: np.ndarray,
    ) -> RidgeHead:
        """Choose a head, and fit it on all windows; parameters are those of `RidgeHead.fit`."""
        designs = self.designs(table.windows.shape[2])
        horizon = int(table.steps.max())
        folds = list(time_folds(len(future), horizon))
        if not folds:
            return _fit_without_folds(designs[-1], table, future)
        rotated = table
        if any(design.embedding_weight for design in designs):
            rotated = table.rotated()
        residuals = _residuals(designs, folds, rotated, future)
        candidates = [
            _best_penalty(design, of_design)
            for design, of_design in zip(designs, residuals, strict=True)
        ]
        best = min(candidates, key=lambda candidate: candidate.error)
        tested = np.concatenate([test for _, test in folds])
        relative = best.residuals / table.take(tested).scale
        head = RidgeHead(best.design).fit(table, future, rotated)
        return head.choose(best.alpha, relative)

    def designs(self, length: int) -> list[HeadDesign]:
        """Return all combinations of a difference that fits in a window and a weight."""
        n_lags = None
        if isinstance(self.lags, Integral):
            n_lags = self.lags
        weights = self.embedding_weights
        if self.lags == 0:
            weights = (1.0,)
        return [
            HeadDesign(difference, self.sp, n_lags, weight)
            for difference in self._differences(length)
            for weight in weights
        ]

    def _differences(self, length: int) -> list[str]:
        """Return the kinds of differences that windows of a length are long enough for."""
        allowed = [self.difference]
        if self.difference == "auto":
            allowed = list(DIFFERENCES)
            if self.sp == 1:  # a season of one time point makes no other differences
                allowed = ["none", "first"]
        return [name for name in allowed if window_needed(name, self.sp) <= length]


def window_needed(
    difference: str,
    sp: int,
) -> int:
    """Return the shortest length of windows in which a kind of difference fits."""
    if difference == "seasonal":
        return sp + 1
    if difference == "both":
        return sp + 2
    return 1


def time_folds(
    n_windows: int,
    horizon: int,
) -> Iterator[Fold]:
    """Yield the training and the test windows of folds ordered in time.

    Everything that a forecast of a test window is fitted on lies before it, targets included.

    Parameters
    ----------
    n_windows : int
        Number of windows.
    horizon : int
        Largest step to forecast.

    Yields
    ------
    tuple of ndarray and ndarray, int
        Training and test rows. There are no folds if the windows are too few.
    """
    first = max(n_windows // 2, horizon + MIN_WINDOWS - 1)
    if first >= n_windows:
        return
    n_folds = min(N_FOLDS, n_windows - first)
    edges = np.linspace(first, n_windows, n_folds + 1).astype(int)
    for start, stop in pairwise(np.unique(edges)):
        train = np.arange(start - horizon + 1)
        test = np.arange(start, stop)
        yield train, test


def _best_penalty(
    design: HeadDesign,
    residuals: np.ndarray,
) -> _Candidate:
    """Return a design with the penalty of the least absolute error on the folds."""
    handicap = 1 + MARGIN * design.embedding_weight
    errors = np.abs(residuals).mean(axis=(1, 2)) * handicap
    best = int(errors.argmin())
    return _Candidate(
        design=design,
        alpha=ALPHAS[best],
        error=errors[best],
        residuals=residuals[best],
    )


def _residuals(
    designs: list[HeadDesign],
    folds: list[Fold],
    table: WindowTable,
    future: np.ndarray,
) -> list[np.ndarray]:
    """Return out-of-fold residuals of each design, of shape (n_alphas, n_tested, n_steps)."""
    has_exogenous = future.shape[1] > 1
    residuals: list[list[np.ndarray]] = [[] for _ in designs]
    for train, test in folds:
        training = table.take(train)  # designs share the decomposition of its embeddings
        tested = table.take(test)
        exogenous = None
        if has_exogenous:
            exogenous = future[test, 1:]
        for design, of_design in zip(designs, residuals, strict=True):
            head = RidgeHead(design).fit(training, future[train], training)
            forecasts = head.forecasts(tested, exogenous)
            of_design.append(future[test, 0] - forecasts)
    return [np.concatenate(of_design, axis=1) for of_design in residuals]


def _fit_without_folds(
    design: HeadDesign,
    table: WindowTable,
    future: np.ndarray,
) -> RidgeHead:
    """Return a head of the strongest penalty, with the differences themselves as residuals."""
    reference = design.reference(table.windows, table.steps)
    residuals = (future - reference)[:, 0] / table.scale
    head = RidgeHead(design).fit(table, future)
    return head.choose(ALPHAS[-1], residuals)


def _ridge(
    features: np.ndarray,
    target: np.ndarray,
    penalties: np.ndarray,
) -> np.ndarray:
    """Return ridge coefficients of shape (n_alphas, n_features, n_steps), without intercept."""
    left, singular, right = np.linalg.svd(features, full_matrices=False)
    shrinkage = singular / (singular**2 + penalties[:, np.newaxis])
    projected = left.T @ target
    return right.T @ (shrinkage[:, :, np.newaxis] * projected)


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


def _standardization(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the mean, and the factor that gives features a total variance of 1."""
    mean = values.mean(axis=0)
    variances = ((values - mean) ** 2).mean(axis=0)
    std = np.sqrt(variances.sum())
    if std > 0:
        return mean, 1 / std
    return mean, 0.0


def _exogenous_slope(differences: np.ndarray) -> np.ndarray:
    """Return the coefficients of exogenous differences, the same for all steps.

    Parameters
    ----------
    differences : ndarray of shape (n, 1 + n_exogenous, n_steps)
        Differences of the series and of its exogenous variables.

    Returns
    -------
    ndarray of shape (n_exogenous,)
        Coefficients.
    """
    n_exogenous = differences.shape[1] - 1
    if n_exogenous == 0:
        return np.zeros(0)
    rows = differences.transpose(0, 2, 1).reshape(-1, n_exogenous + 1)
    target = rows[:, 0]
    exogenous = rows[:, 1:]
    std = exogenous.std(axis=0)
    std[std == 0] = 1.0
    ridge = RidgeCV(alphas=EXOGENOUS_ALPHAS)
    ridge.fit(exogenous / std, target)
    return ridge.coef_ / std


def _without_exogenous(
    values: np.ndarray,
    slope: np.ndarray,
) -> np.ndarray:
    """Return the series without exogenous effects, (n, 1 + n_exogenous, k) to (n, k)."""
    effect = np.einsum("c,nck->nk", slope, values[:, 1:])
    return values[:, 0] - effect
