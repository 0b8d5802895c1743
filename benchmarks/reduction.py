"""The four strategies of sktime's make_reduction, on lags and on embeddings of the windows.

Mean MASE over the origins of `forecasting.py`, one seed; the tables, the ridge head and the
differencing are the same for all. "series": an encoder pretrained on the windows before the first
origin; the others are bundled checkpoints, with the paper's readout and with their default one.

    python benchmarks/reduction.py airline lynx
"""

from __future__ import annotations

import argparse
import tempfile
import warnings

import numpy as np
from forecasting import ALPHAS, forecast_once, mase, origins, pretrained_on_series, sets
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sktime.forecasting.compose import TransformedTargetForecaster, make_reduction
from sktime.transformations.series.difference import Differencer

from fei_sklearn import FEIEmbedder

STRATEGIES = ("recursive", "direct", "multioutput", "dirrec")


def embedders(differences, length, folder):
    """Column -> embedder, or None for the lags themselves."""
    pretrained_on_series(tuple(differences), length, 0).save(folder)
    return {
        "lags": None,
        "series": FEIEmbedder(pretrained=folder, pooling="mean", n_jobs=1),
        "fei-tiny+mean": FEIEmbedder(pretrained="fei-tiny", pooling="mean", n_jobs=1),
        "fei-tiny": FEIEmbedder(pretrained="fei-tiny", n_jobs=1),
    }


def reduction(strategy, sp, length, embedder):
    """sktime's reduction of (seasonal) differences."""
    steps = [StandardScaler(), RidgeCV(ALPHAS)]
    regressor = make_pipeline(*([] if embedder is None else [embedder]), *steps)
    reduced = make_reduction(
        regressor, window_length=length, strategy=strategy, scitype="tabular-regressor"
    )
    return TransformedTargetForecaster([("difference", Differencer(sp)), ("reduced", reduced)])


def mean_score(model, y, sp, horizon, points):
    """Mean MASE over the origins."""
    forecasts = [forecast_once(model, "", y, None, at, horizon)[0] for at in points]
    return np.mean([mase(y, at, f, sp) for at, f in zip(points, forecasts, strict=True)])


def main():
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("sets", nargs="*", default=["airline", "lynx", "shampoo", "uschange"])
    arguments = parser.parse_args()
    warnings.showwarning = lambda *_, **__: None
    for name in arguments.sets:
        y, _, sp, horizon, number = sets()[name]
        points = origins(len(y), horizon, number)
        before = y.iloc[: points[0]]
        length = min(2 * sp if sp > 1 else 12, (len(before) - sp - horizon) // 2)
        with tempfile.TemporaryDirectory() as folder:
            columns = embedders(before.diff(sp).dropna(), length, folder)
            print(f"| {name} | " + " | ".join(columns) + " |\n|---" + "|---" * len(columns) + "|")
            for strategy in STRATEGIES:
                scores = [
                    mean_score(reduction(strategy, sp, length, e), y, sp, horizon, points)
                    for e in columns.values()
                ]
                print(
                    f"| {strategy} | " + " | ".join(f"{s:.3f}" for s in scores) + " |", flush=True
                )


if __name__ == "__main__":
    main()
