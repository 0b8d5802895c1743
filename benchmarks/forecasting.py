"""Compare FEIForecaster with simple forecasters on the series that sktime ships.

For each set the last part holds several origins; everything is fitted on what lies before an origin
and scored on the horizon after it. FEIForecaster and the reductions pretrain their encoder before
the first origin and, at later ones, only refit the head. The score is the mean absolute scaled
error (MASE): the error relative to that of a seasonal naive forecast one step ahead (non-seasonal
where there is no season) over the part before the origin; the mean over origins and seeds.

    python benchmarks/forecasting.py
    python benchmarks/forecasting.py airline lynx --seeds 1

AutoETS needs statsmodels, which is no dependency: without it its column is left out.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from forecasting_sets import ForecastingSet, forecasting_sets, panel, panel_sets
from reductions import pretrained_on_series, reduction, small_embedder
from results import table_row
from sklearn.frozen import FrozenEstimator
from sktime.forecasting.naive import NaiveForecaster

from fei_sklearn.adapters.sktime import FEIForecaster


class RidgeOnLags(FEIForecaster):
    """The same windows, differences, folds and head, without embeddings."""

    def _embed(self, windows):
        return np.zeros((len(windows), 1))


class Weighted(FEIForecaster):
    """Embeddings always beside the lags, whatever the folds choose."""

    _embedding_weights = (1.0,)


class Scores(NamedTuple):
    """Mean scores by forecaster, and figures of FEIForecaster."""

    mase: dict[str, float]
    #: Share of the values inside the 90 percent intervals.
    coverage: float
    #: Share of the fits that use embeddings.
    uses_fei: float

    def figures(self) -> list[float]:
        return [*self.mase.values(), self.coverage, self.uses_fei]


def auto_ets(season):
    from sktime.forecasting.ets import AutoETS

    return AutoETS(auto=True, sp=season, n_jobs=1)


@cache
def pretrained_on_panel(n, season, seed):
    """Return an encoder of windows of the panel's first n time points."""
    long = panel().iloc[:n].stack().swaplevel().sort_index().to_frame("value")
    forecaster = FEIForecaster(small_embedder(), sp=season, random_state=seed)
    return forecaster.pretrain(long).pretrained_embedder_


def pretrained(data: ForecastingSet, seed, on_panel):
    """Return an encoder of windows before the first origin."""
    y = data.before_first_origin()
    if on_panel:
        return pretrained_on_panel(len(y), data.season, seed)
    forecaster = FEIForecaster(small_embedder(), sp=data.season, random_state=seed)
    return forecaster.fit(y, fh=range(1, data.horizon + 1)).embedder_


def forecasters(data: ForecastingSet, seed, on_panel):
    """Return the forecasters by column; those without FEI are the same for every seed."""
    season = data.season
    length = data.window_length()
    embedder = FrozenEstimator(pretrained(data, seed, on_panel))
    differences = data.before_first_origin().diff(season).dropna()
    differenced = FrozenEstimator(pretrained_on_series(tuple(differences), length, seed))
    columns = {
        "naive": NaiveForecaster("last", sp=season),
        "reduce lags": reduction("multioutput", season, length),
        "ridge lags": RidgeOnLags(embedder, sp=season),
    }
    if find_spec("statsmodels"):
        columns["AutoETS"] = auto_ets(season)
    return columns | {
        "reduce FEI": reduction("multioutput", season, length, differenced),
        "FEI only": Weighted(embedder, sp=season, lags=0),
        "FEI + lags": Weighted(embedder, sp=season),
        "FEI": FEIForecaster(embedder, sp=season),
    }


def score_set(data: ForecastingSet, n_seeds, on_panel) -> Scores:
    """Return the mean scores of all forecasters over origins and seeds."""
    scores = {}
    covered = []
    uses_fei = []
    for seed in range(n_seeds):
        for name, model in forecasters(data, seed, on_panel).items():
            if seed > 0 and "FEI" not in name:
                continue
            for origin in data.origins():
                fitted = fit_before(model, data, origin)
                forecast = fitted.predict(X=future(fitted, data, origin))
                scores.setdefault(name, []).append(data.mase(origin, forecast))
                if name == "FEI":
                    covered.append(coverage(fitted, data, origin))
                    uses_fei.append(fitted.embedding_weight_ > 0)
    means = {name: np.mean(each) for name, each in scores.items()}
    return Scores(means, np.mean(covered), np.mean(uses_fei))


def takes_exogenous(model, data: ForecastingSet) -> bool:
    """Return whether to pass X: tabular reductions and the naive forecast do without it."""
    return data.X is not None and isinstance(model, FEIForecaster)


def fit_before(model, data: ForecastingSet, origin):
    """Return a copy of the model that is fitted on what lies before an origin."""
    X = data.X.iloc[:origin] if takes_exogenous(model, data) else None
    horizon = range(1, data.horizon + 1)
    return model.clone().fit(data.y.iloc[:origin], X, fh=horizon)


def future(model, data: ForecastingSet, origin):
    """Return the exogenous variables after an origin, or None."""
    if not takes_exogenous(model, data):
        return None
    return data.X.iloc[origin : origin + data.horizon]


def coverage(fitted, data: ForecastingSet, origin):
    """Return the share of the actual values inside the 90 percent intervals."""
    intervals = fitted.predict_interval(coverage=0.9, X=future(fitted, data, origin))
    low, high = intervals.to_numpy().T
    actual = data.y.to_numpy()[origin : origin + data.horizon]
    is_inside = (low <= actual) & (actual <= high)
    return np.mean(is_inside)


def figures_row(name, figures):
    return table_row([name, *(f"{figure:.3f}" for figure in figures)])


def main():
    """Run and print the table, a row per set as soon as it is done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", help="names of sets; all of them by default")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    # a filter does not last: sktime puts its FutureWarnings back on with each forecast
    warnings.showwarning = lambda *_, **__: None
    available = forecasting_sets() | panel_sets()
    rows = []
    started = time.perf_counter()
    for name in args.sets or available:
        scores = score_set(available[name], args.seeds, on_panel=name.startswith("panel"))
        if not rows:
            columns = ["set", *scores.mase, "coverage", "uses FEI"]
            print(table_row(columns))
            print("|---" * len(columns) + "|")
        rows.append(scores.figures())
        print(figures_row(name, rows[-1]), flush=True)
    print(figures_row("mean", np.mean(rows, axis=0)))
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
