"""Choice of a ridge head's form and penalty, on folds ordered in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral

import numpy as np

from fei_sklearn.adapters._head_design import DIFFERENCES, HeadDesign, window_needed
from fei_sklearn.adapters._ridge_head import ALPHAS, RidgeHead
from fei_sklearn.adapters._window_table import WindowTable
from fei_sklearn.adapters._windows import MIN_WINDOWS

#: Weights of the embeddings beside the lags that the folds choose from.
EMBEDDING_WEIGHTS = (0.0, 1.0)

#: Share by which embeddings must lower the error on the folds to be used beside the lags.
MARGIN = 0.05

#: Folds that choose the head and give the residuals of the intervals.
N_FOLDS = 5

#: Training and test windows of a fold.
TimeFold = tuple[np.ndarray, np.ndarray]


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
        """Choose a head, and fit it on all windows; parameters as in `RidgeHead.fit`."""
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


def time_folds(
    n_windows: int,
    horizon: int,
) -> Iterator[TimeFold]:
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


@dataclass(frozen=True)
class _Candidate:
    """Design with its best penalty, the error on the folds, and the residuals there."""

    design: HeadDesign
    alpha: float
    error: float
    residuals: np.ndarray


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
    folds: list[TimeFold],
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
