"""Compare FEIForecaster with simple forecasters on the series that sktime and statsmodels ship.

For each series the last part holds several origins; everything is fitted on what lies before an
origin and scored on the horizon after it. The score is the mean absolute scaled error (MASE): the
error relative to that of a seasonal naive forecast one step ahead (non-seasonal where there is no
season) over the part before the origin; the mean over the origins. "global" is an encoder that is
pretrained on the windows of all series of a frequency, before their first origins.

    python benchmarks/forecasting.py --out results.jsonl
    python benchmarks/forecasting.py --out results.jsonl --report

A run that was stopped goes on where it was. AutoETS and half of the series need statsmodels, which
is no dependency.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from functools import cache
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from families import mean_with_error
from forecasting_sets import SEASONS, ForecastingSet, forecasting_sets
from heads import ridge_regressor
from results import append_json, is_measured, markdown_table, read_json
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sktime.forecasting.compose import TransformedTargetForecaster, make_reduction
from sktime.forecasting.ets import AutoETS
from sktime.forecasting.naive import NaiveForecaster
from sktime.transformations.series.difference import Differencer

from fei_sklearn import FEIEmbedder
from fei_sklearn.adapters.sktime import FEIForecaster

#: Titles of the forecasters; the last two choose on folds whether they use embeddings.
TITLES = (
    "naive",
    "AutoETS",
    "reduce lags",
    "ridge lags",
    "reduce FEI",
    "FEI only",
    "FEI + lags",
    "FEI",
    "FEI global",
)

#: The forecaster that others are compared with.
REFERENCE = "ridge lags"


class RidgeOnLags(FEIForecaster):
    """The same windows, differences, folds and head, without embeddings."""

    def _embed(self, windows):
        return np.zeros((len(windows), 1))


class Weighted(FEIForecaster):
    """Embeddings always beside the lags, whatever the folds choose."""

    _embedding_weights = (1.0,)


def reduction(season: int, length: int, embedder=None) -> TransformedTargetForecaster:
    """Return sktime's reduction of (seasonal) differences, of lags if there is no embedder."""
    regressor = ridge_regressor()
    if embedder is not None:
        regressor = make_pipeline(embedder, regressor)
    reduced = make_reduction(
        regressor, window_length=length, strategy="multioutput", scitype="tabular-regressor"
    )
    steps = [("difference", Differencer(season)), ("reduced", reduced)]
    return TransformedTargetForecaster(steps)


@cache
def global_embedder(frequency: str) -> FrozenEstimator:
    """Return an encoder of the windows of all series of a frequency before their first origins."""
    known = {
        name: data.before_first_origin().to_frame("value")
        for name, data in forecasting_sets().items()
        if data.frequency == frequency
    }
    season = SEASONS[frequency]
    panel = pd.concat(known, names=["series", "time"])
    forecaster = FEIForecaster(FEIEmbedder(n_jobs=1), sp=season, random_state=0)
    return FrozenEstimator(forecaster.pretrain(panel).pretrained_embedder_)


def forecasters(data: ForecastingSet) -> dict:
    """Return the forecasters by title."""
    season = data.season
    length = data.window_length()
    return {
        "naive": NaiveForecaster("last", sp=season),
        "AutoETS": AutoETS(auto=True, sp=season, n_jobs=1),
        "reduce lags": reduction(season, length),
        "ridge lags": RidgeOnLags(sp=season),
        "reduce FEI": reduction(season, length, FEIEmbedder(pretrained="default")),
        "FEI only": Weighted(sp=season, lags=0),
        "FEI + lags": Weighted(sp=season),
        "FEI": FEIForecaster(sp=season),
        "FEI global": FEIForecaster(global_embedder(data.frequency), sp=season),
    }


def fit_before(model, data: ForecastingSet, origin: int):
    """Return a copy of the model that is fitted on what lies before an origin."""
    return model.clone().fit(data.y.iloc[:origin], fh=range(1, data.horizon + 1))


def measure_set(name: str, data: ForecastingSet) -> dict:
    """Return the record of a series: means over its origins."""
    origins = data.origins()
    errors = {}
    used = {}
    for title, model in forecasters(data).items():
        fitted = [fit_before(model, data, origin) for origin in origins]
        pairs = list(zip(fitted, origins, strict=True))
        errors[title] = float(np.mean([data.mase(at, each.predict()) for each, at in pairs]))
        if title in ("FEI", "FEI global"):
            used[title] = float(np.mean([each.embedding_weight_ > 0 for each in fitted]))
        if title == "FEI":
            covered = float(np.mean([coverage(each, data, at) for each, at in pairs]))
    return {
        "set": name,
        "frequency": data.frequency,
        "points": len(data.y),
        "MASE": errors,
        "uses embeddings": used,
        "coverage": covered,
    }


def coverage(fitted: FEIForecaster, data: ForecastingSet, origin: int) -> float:
    """Return the share of the actual values inside the 90 percent intervals."""
    low, high = fitted.predict_interval(coverage=0.9).to_numpy().T
    actual = data.y.to_numpy()[origin : origin + data.horizon]
    return float(np.mean((low <= actual) & (actual <= high)))


def table(records: list[dict]) -> str:
    """Return mean MASE by forecaster and frequency, paired differences, and use of embeddings."""
    rows = []
    for title in TITLES:
        cells = []
        for frequency in SEASONS:
            of_frequency = [each for each in records if each["frequency"] == frequency]
            mean = np.mean([each["MASE"][title] for each in of_frequency])
            cells.append(f"{mean:.3f}")
        errors = np.array([each["MASE"][title] for each in records])
        reference = np.array([each["MASE"][REFERENCE] for each in records])
        better = int((errors < reference - 1e-9).sum())
        worse = int((errors > reference + 1e-9).sum())
        cells += [f"{errors.mean():.3f}", relative(errors, reference), better, worse]
        cells.append(share_of_use(records, title))
        rows.append([title, *cells])
    columns = [*SEASONS, "mean", "% to ridge lags", "better", "worse", "uses embeddings"]
    return markdown_table(["forecaster", *columns], rows)


def share_of_use(records: list[dict], title: str) -> str:
    """Return the share of the fits in which the folds kept the embeddings, if they chose."""
    shares = [record["uses embeddings"].get(title) for record in records]
    if None in shares:
        return ""
    return f"{np.mean(shares):.0%}"


def relative(errors: np.ndarray, reference: np.ndarray) -> str:
    """Return the mean relative difference of errors in percent, with its standard error."""
    return str(mean_with_error(100 * np.log(errors / reference)))


def series_table(records: list[dict]) -> str:
    """Return the MASE of every series."""
    rows = []
    for record in records:
        errors = [f"{record['MASE'][title]:.3f}" for title in TITLES]
        rows.append([record["set"], record["points"], *errors, f"{record['coverage']:.2f}"])
    return markdown_table(["series", "points", *TITLES, "coverage"], rows)


def main() -> None:
    """Measure what is missing, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", help="names of series; all of them by default")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, one per series")
    parser.add_argument("--report", action="store_true", help="print tables of the records")
    args = parser.parse_args()
    records = read_json(args.out)
    if args.report:
        print(f"{table(records)}\n\n{series_table(records)}")
        return
    # a filter does not last: sktime puts its FutureWarnings back on with each forecast
    warnings.showwarning = lambda *_, **__: None
    available = forecasting_sets()
    for name in args.sets or available:
        if not is_measured({"set": name}, records):
            record = measure_set(name, available[name])
            print(json.dumps(record), flush=True)
            append_json(args.out, record)


if __name__ == "__main__":
    main()
