"""Ridge regression of future values on lags and embeddings of windows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import RidgeCV

from fei_sklearn.adapters._head_design import HeadDesign
from fei_sklearn.adapters._window_table import WindowTable, standardization

#: Penalties of the ridge head, relative to the number of windows it is fitted on.
ALPHAS = np.logspace(-4, 2, 13)

#: Penalties of the regression on exogenous variables.
EXOGENOUS_ALPHAS = np.logspace(-3, 3, 13)

#: Former name -> present name, for pickles from when the class was called `_Head`.
_RENAMED = {
    "recipe": "design",
    "blocks": "standardizations",
    "spread": "residual_std",
    "freedom": "degrees_of_freedom",
}


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
            Result of ``table.rotated()``; None computes it.

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
        mean, factor = standardization(lags)
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
