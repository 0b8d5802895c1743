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

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sktime.datasets import (
    load_airline,
    load_longley,
    load_lynx,
    load_PBS_dataset,
    load_shampoo_sales,
    load_uschange,
)
from sktime.forecasting.compose import TransformedTargetForecaster, make_reduction
from sktime.forecasting.naive import NaiveForecaster
from sktime.transformations.series.difference import Differencer

from fei_sklearn import FEIEmbedder
from fei_sklearn.adapters import forecasting
from fei_sklearn.adapters.sktime import FEIForecaster

EPOCHS = 5
ALPHAS = np.logspace(-3, 4, 15)


def sets():
    """Name -> series, exogenous variables, season, horizon, number of origins."""
    consumption, others = load_uschange()
    employment, economy = load_longley()
    return {
        "airline": (load_airline(), None, 12, 12, 4),
        "longley": (employment, None, 1, 2, 3),
        "longley+X": (employment, economy, 1, 2, 3),
        "lynx": (load_lynx(), None, 1, 8, 4),
        "shampoo": (load_shampoo_sales(), None, 1, 4, 4),
        "uschange": (consumption, None, 4, 8, 4),
        "uschange+X": (consumption, others, 4, 8, 4),
        "PBS": (load_PBS_dataset(), None, 12, 12, 4),
    }


def panel():
    """Five quarterly series of one country, in one frame."""
    consumption, others = load_uschange()
    return others.assign(Consumption=consumption)


def panel_sets():
    """Each series of the panel, forecast alone with an encoder pretrained on all of them."""
    return {f"panel {name}": (column, None, 4, 8, 4) for name, column in panel().items()}


class RidgeOnLags(FEIForecaster):
    """The same windows, differences, folds and head, without embeddings."""

    def _embed(self, windows):
        return np.zeros((len(windows), 1))


class Weighted(FEIForecaster):
    """Embeddings always beside the lags, whatever the folds say."""

    def _fit_head(self, steps):
        weights, forecasting.EMBEDDING_WEIGHTS = forecasting.EMBEDDING_WEIGHTS, (1.0,)
        try:
            return super()._fit_head(steps)
        finally:
            forecasting.EMBEDDING_WEIGHTS = weights


def naive(sp):
    return NaiveForecaster("last", sp=sp)


def reduction(sp, length, embedder):
    """sktime's own reduction of (seasonal) differences, multi-output."""
    regressor = make_pipeline(StandardScaler(), RidgeCV(ALPHAS))
    if embedder is not None:
        regressor = make_pipeline(FrozenEstimator(embedder), regressor)
    reduced = make_reduction(
        regressor, window_length=length, strategy="multioutput", scitype="tabular-regressor"
    )
    return TransformedTargetForecaster([("difference", Differencer(sp)), ("reduced", reduced)])


def auto_ets(sp):
    from sktime.forecasting.ets import AutoETS

    return AutoETS(auto=True, sp=sp, n_jobs=1)


@cache
def pretrained_on_panel(n, sp, seed):
    """Encoder of windows of the panel's first n time points."""
    long = panel().iloc[:n].stack().swaplevel().sort_index().to_frame("value")
    probe = FEIForecaster(
        FEIEmbedder("tiny", pooling="mean", max_epochs=EPOCHS), sp=sp, random_state=seed
    )
    return probe.pretrain(long).pretrained_embedder_


@cache
def pretrained_on_series(values, length, seed):
    """Encoder of windows of one series."""
    windows = np.lib.stride_tricks.sliding_window_view(np.array(values), length)
    embedder = FEIEmbedder("tiny", pooling="mean", max_epochs=EPOCHS, random_state=seed)
    return embedder.fit(windows)


def pretrained(y, sp, horizon, seed, on_panel):
    """Encoder of windows before the first origin, one of their differences, and its windows."""
    if on_panel:
        embedder = pretrained_on_panel(len(y), sp, seed)
    else:
        embedder = (
            FEIForecaster(
                FEIEmbedder("tiny", pooling="mean", max_epochs=EPOCHS), sp=sp, random_state=seed
            )
            .fit(y, fh=range(1, horizon + 1))
            .embedder_
        )
    length = min(2 * sp if sp > 1 else 12, (len(y) - sp - horizon) // 2)
    differences = tuple(y.diff(sp).dropna())
    return FrozenEstimator(embedder), pretrained_on_series(differences, length, seed), length


def forecasters(y, sp, horizon, seed, on_panel):
    """Column -> forecaster; those before "FEI" are the same for every seed."""
    embedder, differenced, length = pretrained(y, sp, horizon, seed, on_panel)
    columns = {
        "naive": naive(sp),
        "reduce lags": reduction(sp, length, None),
        "ridge lags": RidgeOnLags(embedder, sp=sp),
    }
    if find_spec("statsmodels"):
        columns["AutoETS"] = auto_ets(sp)
    return columns | {
        "reduce FEI": reduction(sp, length, differenced),
        "FEI only": Weighted(embedder, sp=sp, lags=0),
        "FEI + lags": Weighted(embedder, sp=sp),
        "FEI": FEIForecaster(embedder, sp=sp),
    }


def mase(y, origin, forecast, sp):
    known = y.to_numpy()[:origin]
    scale = np.abs(known[sp:] - known[:-sp]).mean()
    actual = y.to_numpy()[origin : origin + len(forecast)]
    return np.abs(actual - forecast.to_numpy()).mean() / scale


def origins(n, horizon, number):
    """The last ones, a horizon apart for long series and closer for short ones."""
    first = max(n - number * horizon, (2 * n) // 3)
    return np.linspace(first, n - horizon, number).astype(int)


def score_set(y, X, sp, horizon, number, seeds, on_panel):
    """Column -> scores over origins and seeds; coverage of FEI's 90 percent intervals; weights."""
    scores, covered, weights = {}, [], []
    points = origins(len(y), horizon, number)
    for seed in range(seeds):
        models = forecasters(y.iloc[: points[0]], sp, horizon, seed, on_panel)
        for name, model in models.items():
            if seed and "FEI" not in name:
                continue
            for origin in points:
                forecast, fitted = forecast_once(model, name, y, X, origin, horizon)
                scores.setdefault(name, []).append(mase(y, origin, forecast, sp))
                if name == "FEI":
                    covered.append(coverage(fitted, y, X, origin, horizon))
                    weights.append(fitted.embedding_weight_ > 0)
    return {name: np.mean(s) for name, s in scores.items()}, np.mean(covered), np.mean(weights)


def forecast_once(model, name, y, X, origin, horizon):
    """Forecasts from one origin. Tabular reductions and the naive forecast do without X."""
    exogenous = X is not None and isinstance(model, FEIForecaster)
    fitted = model.clone().fit(
        y.iloc[:origin], X.iloc[:origin] if exogenous else None, fh=range(1, horizon + 1)
    )
    future = X.iloc[origin : origin + horizon] if exogenous else None
    return fitted.predict(X=future), fitted


def coverage(fitted, y, X, origin, horizon):
    future = None if X is None else X.iloc[origin : origin + horizon]
    bounds = fitted.predict_interval(coverage=0.9, X=future).to_numpy()
    actual = y.to_numpy()[origin : origin + horizon]
    return np.mean((bounds[:, 0] <= actual) & (actual <= bounds[:, 1]))


def main():
    """Run and print the table, a row a set as it is done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", help="names of sets; all of them by default")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    # a filter does not last: sktime puts its FutureWarnings back on with each forecast
    warnings.showwarning = lambda *_, **__: None
    available = sets() | panel_sets()
    rows, started = [], time.perf_counter()
    for name in arguments.sets or available:
        scores, covered, weight = score_set(
            *available[name], arguments.seeds, on_panel=name.startswith("panel")
        )
        if not rows:
            print("| set | " + " | ".join(scores) + " | coverage | uses FEI |")
            print("|---" * (len(scores) + 3) + "|")
        rows.append([*scores.values(), covered, weight])
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in rows[-1]) + " |", flush=True)
    print("| mean | " + " | ".join(f"{value:.3f}" for value in np.mean(rows, axis=0)) + " |")
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
