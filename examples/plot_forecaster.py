"""Forecast a year of airline passengers with FEIForecaster, intervals included.

    python examples/plot_forecaster.py
    python examples/plot_forecaster.py --picture forecaster.png

The encoder is pretrained on the windows of the series itself, in `fit`. A year later `update` takes
in what was observed and refits the head alone.
"""

from __future__ import annotations

import argparse
import os
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

from sktime.datasets import load_airline
from sktime.forecasting.naive import NaiveForecaster
from sktime.performance_metrics.forecasting import mean_absolute_scaled_error

from fei_sklearn import FEIEmbedder
from fei_sklearn.adapters.sktime import FEIForecaster

HORIZON = range(1, 13)


def report(name, actual, forecast, known):
    error = mean_absolute_scaled_error(actual, forecast, y_train=known, sp=12)
    print(f"  {name:<16} MASE {error:.3f}")


def draw(y, forecast, interval, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    axes.plot(y[-48:].index.to_timestamp(), y[-48:], label="observed")
    time = forecast.index.to_timestamp()
    axes.plot(time, forecast, label="forecast")
    axes.fill_between(time, *interval.to_numpy().T, alpha=0.3, label="90 percent interval")
    axes.legend()
    figure.savefig(path, dpi=120)
    print(f"Picture: {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture")
    arguments = parser.parse_args()
    # a filter does not last: sktime puts its FutureWarnings back on with each forecast
    warnings.showwarning = lambda *_, **__: None
    y = load_airline()
    first, second = y[-24:-12], y[-12:]
    forecaster = FEIForecaster(
        FEIEmbedder("tiny", pooling="mean", max_epochs=5), sp=12, random_state=0
    )

    print("Fitted on all but two years:")
    forecaster.fit(y[:-24], fh=HORIZON)
    report("FEIForecaster", first, forecaster.predict(), y[:-24])
    naive = NaiveForecaster(sp=12)
    report("seasonal naive", first, naive.fit_predict(y[:-24], fh=HORIZON), y[:-24])

    print("A year later, head refitted, encoder kept:")
    forecaster.update(first)
    forecast, interval = forecaster.predict(), forecaster.predict_interval(coverage=0.9)
    report("FEIForecaster", second, forecast, y[:-12])
    report("seasonal naive", second, naive.fit_predict(y[:-12], fh=HORIZON), y[:-12])
    bounds = interval.to_numpy()
    inside = ((bounds[:, 0] <= second) & (second <= bounds[:, 1])).sum()
    print(f"  {inside} of 12 months lie in the 90 percent interval")
    if arguments.picture:
        draw(y, forecast, interval, arguments.picture)


if __name__ == "__main__":
    main()
