"""The four strategies of sktime's make_reduction, on lags and on embeddings of the windows.

The table shows the mean MASE over the origins of `forecasting.py`, for one seed; the tables, the
ridge head and the differencing are the same for all. "series" is an encoder that is pretrained on
the windows before the first origin; the others are bundled checkpoints, with the paper's readout
and with their default readout.

    python benchmarks/reduction.py airline lynx
"""

from __future__ import annotations

import argparse
import tempfile
import warnings

import numpy as np
from forecasting import fit_before
from forecasting_sets import ForecastingSet, forecasting_sets
from reductions import pretrained_on_series, reduction
from results import table_head, table_row

from fei_sklearn import FEIEmbedder

STRATEGIES = ("recursive", "direct", "multioutput", "dirrec")


def embedders(data: ForecastingSet, folder: str):
    """Return the embedders by column, None for the lags themselves."""
    differences = data.before_first_origin().diff(data.season).dropna()
    pretrained_on_series(tuple(differences), data.window_length(), 0).save(folder)
    return {
        "lags": None,
        "series": FEIEmbedder(pretrained=folder, pooling="mean", n_jobs=1),
        "fei-tiny+mean": FEIEmbedder(pretrained="fei-tiny", pooling="mean", n_jobs=1),
        "fei-tiny": FEIEmbedder(pretrained="fei-tiny", n_jobs=1),
    }


def mean_score(model, data: ForecastingSet) -> float:
    """Return the mean MASE over the origins."""
    scores = []
    for origin in data.origins():
        forecast = fit_before(model, data, origin).predict()
        scores.append(data.mase(origin, forecast))
    return np.mean(scores)


def print_table(name: str, data: ForecastingSet) -> None:
    length = data.window_length()
    with tempfile.TemporaryDirectory() as folder:
        columns = embedders(data, folder)
        print(table_head([name, *columns]))
        for strategy in STRATEGIES:
            cells = []
            for embedder in columns.values():
                model = reduction(strategy, data.season, length, embedder)
                cells.append(f"{mean_score(model, data):.3f}")
            print(table_row([strategy, *cells]), flush=True)


def main():
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("sets", nargs="*", default=["airline", "lynx", "shampoo", "uschange"])
    args = parser.parse_args()
    # a filter does not last: sktime puts its FutureWarnings back on with each forecast
    warnings.showwarning = lambda *_, **__: None
    available = forecasting_sets()
    for name in args.sets:
        print_table(name, available[name]._replace(X=None))


if __name__ == "__main__":
    main()
