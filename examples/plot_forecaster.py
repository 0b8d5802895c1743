"""
Forecasts with intervals, by FEIForecaster
==========================================

A year of airline passengers, with intervals. ``fit`` pretrains the encoder on the windows of the
series itself. A year later ``update`` adds the observed values and refits the head alone.
"""

from __future__ import annotations

import warnings

import matplotlib.pyplot as plt
from sktime.datasets import load_airline
from sktime.forecasting.naive import NaiveForecaster
from sktime.performance_metrics.forecasting import mean_absolute_scaled_error

from fei_sklearn import FEIEmbedder
from fei_sklearn.adapters.sktime import FEIForecaster

# a filter does not last: sktime puts its FutureWarnings back on with each forecast
warnings.formatwarning = lambda *_, **__: ""

HORIZON = range(1, 13)
y = load_airline()
first_year = y[-24:-12]
second_year = y[-12:]


def report(name, actual, forecast, known):
    """Print the error of a forecast."""
    error = mean_absolute_scaled_error(actual, forecast, y_train=known, sp=12)
    print(f"  {name:<16} MASE {error:.3f}")


# %%
# Fitted on all but two years
# ---------------------------

known = y[:-24]
embedder = FEIEmbedder("tiny", pooling="mean", max_epochs=5)
forecaster = FEIForecaster(embedder, sp=12, random_state=0).fit(known, fh=HORIZON)
report("FEIForecaster", first_year, forecaster.predict(), known)
naive = NaiveForecaster(sp=12)
report("seasonal naive", first_year, naive.fit_predict(known, fh=HORIZON), known)

# %%
# A year later
# ------------
# The head is refitted, and the encoder kept.

known = y[:-12]
forecaster.update(first_year)
forecast = forecaster.predict()
interval = forecaster.predict_interval(coverage=0.9)
report("FEIForecaster", second_year, forecast, known)
report("seasonal naive", second_year, naive.fit_predict(known, fh=HORIZON), known)
low, high = interval.to_numpy().T
is_inside = (low <= second_year) & (second_year <= high)
print(f"  {is_inside.sum()} of 12 months lie in the 90 percent interval")

# %%
# The second year
# ---------------

figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
observed = y[-48:]
axes.plot(observed.index.to_timestamp(), observed, label="observed")
time = forecast.index.to_timestamp()
axes.plot(time, forecast, "--", label="forecast")
axes.fill_between(time, low, high, alpha=0.3, label="90 percent interval")
axes.set_xlabel("month")
axes.set_ylabel("passengers, thousands")
axes.legend()
plt.show()
