"""Series that sktime ships, the origins of their forecasts, and the score of a forecast."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from sktime.datasets import (
    load_airline,
    load_longley,
    load_lynx,
    load_PBS_dataset,
    load_shampoo_sales,
    load_uschange,
)


class ForecastingSet(NamedTuple):
    """A series with its exogenous variables, and the forecasts to make of it."""

    y: pd.Series
    X: pd.DataFrame | None
    season: int
    horizon: int
    n_origins: int

    def origins(self) -> np.ndarray:
        """Return the last origins, a horizon apart for long series and closer for short ones."""
        n = len(self.y)
        first = max(n - self.n_origins * self.horizon, (2 * n) // 3)
        return np.linspace(first, n - self.horizon, self.n_origins).astype(int)

    def before_first_origin(self) -> pd.Series:
        return self.y.iloc[: self.origins()[0]]

    def window_length(self) -> int:
        """Return two seasons, or 12 time points without a season, or less for short series."""
        longest = (len(self.before_first_origin()) - self.season - self.horizon) // 2
        wanted = 2 * self.season if self.season > 1 else 12
        return min(wanted, longest)

    def mase(self, origin: int, forecast: pd.Series) -> float:
        """Return the mean absolute error, scaled by that of a seasonal naive forecast."""
        values = self.y.to_numpy()
        known = values[:origin]
        scale = np.abs(known[self.season :] - known[: -self.season]).mean()
        actual = values[origin : origin + len(forecast)]
        return np.abs(actual - forecast.to_numpy()).mean() / scale


def forecasting_sets() -> dict[str, ForecastingSet]:
    """Return the sets by name."""
    consumption, others = load_uschange()
    employment, economy = load_longley()
    return {
        "airline": ForecastingSet(load_airline(), None, 12, 12, 4),
        "longley": ForecastingSet(employment, None, 1, 2, 3),
        "longley+X": ForecastingSet(employment, economy, 1, 2, 3),
        "lynx": ForecastingSet(load_lynx(), None, 1, 8, 4),
        "shampoo": ForecastingSet(load_shampoo_sales(), None, 1, 4, 4),
        "uschange": ForecastingSet(consumption, None, 4, 8, 4),
        "uschange+X": ForecastingSet(consumption, others, 4, 8, 4),
        "PBS": ForecastingSet(load_PBS_dataset(), None, 12, 12, 4),
    }


def panel() -> pd.DataFrame:
    """Return five quarterly series of one country in one frame."""
    consumption, others = load_uschange()
    return others.assign(Consumption=consumption)


def panel_sets() -> dict[str, ForecastingSet]:
    """Return each series of the panel, to be forecast with an encoder pretrained on all."""
    columns = panel().items()
    return {f"panel {name}": ForecastingSet(column, None, 4, 8, 4) for name, column in columns}
