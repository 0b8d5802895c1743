"""Form of a ridge head: the values that steps are differences from, and the lags."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np

#: Values that a step is forecast as a difference from, by name.
DIFFERENCES = ("none", "first", "seasonal", "both")


@dataclass(frozen=True)
class HeadDesign:
    """Form of a ridge head, without the penalty.

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
