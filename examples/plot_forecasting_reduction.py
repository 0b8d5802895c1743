"""
Forecasts by reduction, and a grid of mask ratios
=================================================

``make_reduction`` turns windows into rows for scikit-learn's pipeline. Embeddings describe shape
rather than level, so the series is differenced first. The strategy "multioutput" pretrains once;
"direct" and "dirrec" would pretrain once per step, and "recursive" embeds one window per step.
"""

from __future__ import annotations

import warnings

import matplotlib.pyplot as plt
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sktime.datasets import load_airline
from sktime.forecasting.compose import TransformedTargetForecaster, make_reduction
from sktime.forecasting.model_selection import ForecastingGridSearchCV
from sktime.forecasting.naive import NaiveForecaster
from sktime.performance_metrics.forecasting import MeanAbsoluteScaledError
from sktime.split import ExpandingWindowSplitter
from sktime.transformations.series.difference import Differencer

from fei_sklearn import FEIEmbedder

# a filter does not last: sktime puts its FutureWarnings back on with each forecast
warnings.formatwarning = lambda *_, **__: ""

HORIZON = range(1, 13)
#: Name of the embedder's parameter inside the forecaster.
MASK_RATIO = "reduce__estimator__feiembedder__mask_ratio"

# %%
# A forecaster of seasonal differences
# ------------------------------------

embedder = FEIEmbedder("tiny", pooling="mean", max_epochs=2, random_state=0)
regressor = make_pipeline(embedder, StandardScaler(), RidgeCV([0.1, 1, 10, 100, 1000]))
reduced = make_reduction(
    regressor, window_length=24, strategy="multioutput", scitype="tabular-regressor"
)
forecaster = TransformedTargetForecaster([("difference", Differencer(12)), ("reduce", reduced)])

# %%
# The search
# ----------

y = load_airline()
train = y[:-12]
test = y[-12:]
metric = MeanAbsoluteScaledError(sp=12)
search = ForecastingGridSearchCV(
    forecaster,
    cv=ExpandingWindowSplitter(fh=HORIZON, initial_window=96, step_length=12),
    param_grid={MASK_RATIO: [0.3, 0.7]},
    scoring=metric,
    backend=None,  # other processes would print sktime's FutureWarnings
)
search.fit(train, fh=HORIZON)
print("Mask ratios, MASE on the last years of the training part:")
scores = search.cv_results_[f"mean_test_{type(metric).__name__}"]
for params, score in zip(search.cv_results_["params"], scores, strict=True):
    print(f"  {params[MASK_RATIO]}: {score:.3f}")

naive = NaiveForecaster(sp=12).fit(train, fh=HORIZON)
forecasts = {"reduction": search.predict(), "seasonal naive": naive.predict()}
print("MASE on the last year:")
for name, forecast in forecasts.items():
    print(f"  {name:<16}{metric(test, forecast, y_train=train):.3f}")

# %%
# The last year
# -------------

figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
observed = y[-36:]
axes.plot(observed.index.to_timestamp(), observed, label="observed")
for style, (name, forecast) in zip(("--", ":"), forecasts.items(), strict=True):
    axes.plot(forecast.index.to_timestamp(), forecast, style, label=name)
axes.set_xlabel("month")
axes.set_ylabel("passengers, thousands")
axes.legend()
plt.show()
