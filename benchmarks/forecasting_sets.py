"""Series of sktime and statsmodels, the origins of their forecasts, and the score of a forecast."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import sktime.datasets
from sktime.datasets import (
    load_airline,
    load_longley,
    load_lynx,
    load_PBS_dataset,
    load_shampoo_sales,
    load_solar,
    load_uschange,
)

#: Time points per season by frequency.
SEASONS = {"yearly": 1, "quarterly": 4, "monthly": 12, "half-hourly": 48}

#: Countries whose fertility is forecast.
COUNTRIES = ("Brazil", "China", "France", "India", "United States")


class ForecastingSet(NamedTuple):
    """A series, its frequency, and the forecasts to make of it."""

    y: pd.Series
    frequency: str
    season: int
    horizon: int
    n_origins: int = 3

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


def series(y, frequency: str, horizon: int, season: int | None = None) -> ForecastingSet:
    """Return a series with whole numbers as its index, which all forecasters take."""
    counted = pd.Series(np.asarray(y, dtype=np.float64), name="y")
    return ForecastingSet(counted, frequency, season or SEASONS[frequency], horizon)


def yearly(y, horizon: int = 5) -> ForecastingSet:
    return series(y, "yearly", horizon)


def quarterly(y) -> ForecastingSet:
    return series(y, "quarterly", 8)


def monthly(y) -> ForecastingSet:
    return series(y, "monthly", 12)


def of_sktime() -> dict[str, ForecastingSet]:
    """Return the series of sktime by name."""
    employment, _ = load_longley()
    consumption, others = load_uschange()
    # three years are too short for two seasons and their targets
    shampoo = series(load_shampoo_sales(), "monthly", 4, season=1)
    # sktime ships the file, but no function that reads it
    shipped = Path(sktime.datasets.__file__).parent / "data"
    seat_belts = pd.read_csv(shipped / "seatbelts" / "seatbelts.csv")["KSI"]
    sets = {
        "airline": monthly(load_airline()),
        "longley": yearly(employment, horizon=2),
        "lynx": yearly(load_lynx()),
        "seat belts": monthly(seat_belts),
        "shampoo": shampoo,
        "PBS": monthly(load_PBS_dataset()),
        "solar": series(load_solar(), "half-hourly", 24),
    }
    for name, column in others.assign(Consumption=consumption).items():
        sets[f"uschange {name}"] = quarterly(column)
    return sets


def of_statsmodels() -> dict[str, ForecastingSet]:
    """Return the series of statsmodels by name."""
    from statsmodels import datasets

    def frame(name: str) -> pd.DataFrame:
        return getattr(datasets, name).load_pandas().data

    el_nino = frame("elnino").drop(columns="YEAR").to_numpy().ravel()
    co2 = frame("co2")["co2"].resample("MS").mean().interpolate()
    sets = {
        "sunspots": yearly(frame("sunspots")["SUNACTIVITY"]),
        "nile": yearly(frame("nile")["volume"]),
        "copper price": yearly(frame("copper")["COPPERPRICE"], horizon=2),
        "copper consumption": yearly(frame("copper")["WORLDCONSUMPTION"], horizon=2),
        "el nino": monthly(el_nino),
        "co2": monthly(co2),
    }
    fertility = frame("fertility").set_index("Country Name")
    for country in COUNTRIES:
        rates = pd.to_numeric(fertility.loc[country], errors="coerce").dropna()
        sets[f"fertility {country}"] = yearly(rates)
    for source in ("macrodata", "interest_inflation"):
        for name, column in frame(source).drop(columns=["year", "quarter"]).items():
            sets[f"{source} {name}"] = quarterly(column)
    return sets


def forecasting_sets() -> dict[str, ForecastingSet]:
    """Return all series by name."""
    return of_sktime() | of_statsmodels()
