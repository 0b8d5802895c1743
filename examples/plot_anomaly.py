"""
An anomaly in a long series
===========================

A bundled checkpoint embeds windows of an electrocardiogram that sktime ships. It takes its scaling
from the beginning of the series. Each later moment is then scored by the distance between the
embedding of the window before it and the embeddings of the beginning. The baseline scores the raw
windows in the same way. Labels are used for the evaluation alone.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import sktime
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from fei_sklearn import FEIEmbedder

SAMPLING_RATE = 360  # values per second
WINDOW = 128
STEP = 4
#: Time points at the beginning that count as normal.
NORMAL = 3000

# %%
# The series
# ----------
# The MIT-BIH electrocardiogram has 7500 time points at 360 Hz, and labels where its rhythm is
# abnormal. A window counts as abnormal if it holds an abnormal time point.

folder = Path(sktime.__file__).parent / "datasets" / "data" / "mitdb"
frame = pd.read_csv(folder / "mitdb.csv")
series = frame["data"].to_numpy()
labels = frame["label"].to_numpy()

windows = np.lib.stride_tricks.sliding_window_view(series, WINDOW)[::STEP]
label_windows = np.lib.stride_tricks.sliding_window_view(labels, WINDOW)[::STEP]
ends = np.arange(WINDOW - 1, len(series), STEP)
n_normal = int((ends < NORMAL).sum())
abnormal = label_windows.max(axis=1)[n_normal:]
print(f"{len(abnormal)} windows to score, {abnormal.mean():.1%} of them abnormal")

# %%
# Scores
# ------
# ``transform_sliding`` embeds all windows of the series at once.

embedder = FEIEmbedder(pretrained="default", n_jobs=1).fit(windows[:n_normal])
embeddings, _ = embedder.transform_sliding(series[np.newaxis], window_length=WINDOW, step=STEP)


def score(features):
    """Return the mean distance of each window to its nearest neighbours among the normal ones."""
    scaler = StandardScaler().fit(features[:n_normal])
    scaled = scaler.transform(features)
    neighbours = NearestNeighbors(n_neighbors=5).fit(scaled[:n_normal])
    distances, _ = neighbours.kneighbors(scaled[n_normal:])
    return distances.mean(axis=1)


scores = {"FEI": score(embeddings[0]), "raw windows": score(windows)}
print(f"{'':<16}{'ROC AUC':>10}{'avg. prec.':>12}")
for name, of_windows in scores.items():
    roc_auc = roc_auc_score(abnormal, of_windows)
    precision = average_precision_score(abnormal, of_windows)
    print(f"{name:<16}{roc_auc:10.3f}{precision:12.3f}")

# %%
# The score over time
# -------------------

figure, (above, below) = plt.subplots(2, sharex=True, figsize=(8, 4), layout="constrained")
time = np.arange(NORMAL, len(series)) / SAMPLING_RATE
above.plot(time, series[NORMAL:], linewidth=0.6)
above.set_ylabel("electrocardiogram, mV")
time_of_windows = ends[n_normal:] / SAMPLING_RATE
below.plot(time_of_windows, scores["FEI"], label="distance to normal windows")
top = scores["FEI"].max()
below.fill_between(time_of_windows, 0, top * abnormal, alpha=0.2, label="abnormal", step="post")
below.set_xlabel("time, s")
below.set_ylabel("score: distance of\nscaled embeddings")
below.legend(fontsize="small")
plt.show()
