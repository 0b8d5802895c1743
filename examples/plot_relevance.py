"""
Which stretch of a series speaks for a class?
=============================================

A linear head on embeddings says which class a series belongs to, and not why. Hiding one stretch
after the other shows which of them the decision rests on. Here the answer is known: a short burst
was planted in the series of one class.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fei_sklearn import FEIEmbedder
from fei_sklearn.displays import RelevanceDisplay

# %%
# Noise, with and without a burst
# -------------------------------

rng = np.random.default_rng(0)
n_series = 80
X = 0.3 * rng.normal(size=(n_series, 1, 128)).cumsum(axis=2)
y = np.where(np.arange(n_series) % 2, "burst", "calm")
starts = rng.integers(20, 90, size=n_series)
for i in np.flatnonzero(y == "burst"):
    X[i, 0, starts[i] : starts[i] + 16] += np.sin(np.arange(16) * 1.3)

# %%
# The classifier
# --------------

head = RidgeClassifierCV(np.logspace(-3, 5, 17))
model = make_pipeline(FEIEmbedder(pretrained="default"), StandardScaler(), head)
model.fit(X[:60], y[:60])
print(f"accuracy on 20 further series: {model.score(X[60:], y[60:]):.2f}")

# %%
# A series with a burst
# ---------------------
# The dashed lines are where it was planted.

row = 61
display = RelevanceDisplay.from_estimator(model, X[row], target="burst")
peak = int(display.relevance.argmax())
print(f"planted in {starts[row]} to {starts[row] + 16}, largest relevance at {peak}")
display.axes_[0].set_ylabel("series (generated,\nno unit)")
for ax in display.axes_:
    for edge in (starts[row], starts[row] + 16):
        ax.axvline(edge, linestyle="--", color="0.4", linewidth=1)
plt.show()
