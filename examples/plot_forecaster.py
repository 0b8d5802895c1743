"""
Forecasts with intervals, by FEIForecaster
==========================================

A year of airline passengers, with intervals. ``fit`` pretrains the encoder on the windows of the
series itself. A year later ``update`` adds the observed values and refits the head alone.
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
    """Print the error of a forecast."""
    error = mean_absolute_scaled_error(actual, forecast, y_train=known, sp=12)
    print(f"  {name:<16} MASE {error:.3f}")


def draw(y, forecast, interval, path):
    """Draw the last four years, the forecast and its interval."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    observed = y[-48:]
    axes.plot(observed.index.to_timestamp(), observed, label="observed")
    time = forecast.index.to_timestamp()
    axes.plot(time, forecast, label="forecast")
    low, high = interval.to_numpy().T
    axes.fill_between(time, low, high, alpha=0.3, label="90 percent interval")
    axes.legend()
    figure.savefig(path, dpi=120)
    print(f"Picture: {path}")


def main():
    """Forecast two years one after the other and print the errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture")
    args = parser.parse_args()
    # a filter does not last: sktime puts its FutureWarnings back on with each forecast
    warnings.showwarning = lambda *_, **__: None
    y = load_airline()
    known = y[:-24]
    first_year = y[-24:-12]
    second_year = y[-12:]
    embedder = FEIEmbedder("tiny", pooling="mean", max_epochs=5)
    forecaster = FEIForecaster(embedder, sp=12, random_state=0)
    naive = NaiveForecaster(sp=12)

    print("Fitted on all but two years:")
    forecaster.fit(known, fh=HORIZON)
    report("FEIForecaster", first_year, forecaster.predict(), known)
    naive_forecast = naive.fit_predict(known, fh=HORIZON)
    report("seasonal naive", first_year, naive_forecast, known)

    print("A year later, head refitted, encoder kept:")
    known = y[:-12]
    forecaster.update(first_year)
    forecast = forecaster.predict()
    interval = forecaster.predict_interval(coverage=0.9)
    report("FEIForecaster", second_year, forecast, known)
    naive_forecast = naive.fit_predict(known, fh=HORIZON)
    report("seasonal naive", second_year, naive_forecast, known)
    low, high = interval.to_numpy().T
    is_inside = (low <= second_year) & (second_year <= high)
    print(f"  {is_inside.sum()} of 12 months lie in the 90 percent interval")
    if args.picture:
        draw(y, forecast, interval, args.picture)


if __name__ == "__main__":
    main()
