"""
Similarity search among thousands of series
===========================================

64 numbers per series and Euclidean distances find series of the same kind. The series are
generated: four kinds of events at random places, of random width, in noise. A search by raw values
depends more on the place of an event, and finds its kind less often.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from sklearn.neighbors import NearestNeighbors

from fei_sklearn import FEIEmbedder

N_SERIES = 4000
N_TIMEPOINTS = 256
KINDS = ("step", "bump", "burst", "sawtooth")

# %%
# The series
# ----------


def event(kind, time, width):
    """Return an event of a kind around time 0."""
    inside = np.abs(time) < width
    if kind == "step":
        return np.where(time > 0, 1.0, 0.0)
    if kind == "bump":
        return np.exp(-((2 * time / width) ** 2))
    if kind == "burst":
        return inside * np.sin(8 * np.pi * time / width)
    return inside * ((3 * time / width) % 1)


rng = np.random.default_rng(0)
kinds = rng.integers(len(KINDS), size=N_SERIES)
places = rng.uniform(64, 192, size=N_SERIES)
widths = rng.uniform(20, 50, size=N_SERIES)
X = 0.2 * rng.normal(size=(N_SERIES, N_TIMEPOINTS))
for i, kind in enumerate(kinds):
    X[i] += event(KINDS[kind], np.arange(N_TIMEPOINTS) - places[i], widths[i])

# %%
# Codes and their neighbours
# --------------------------

codes = FEIEmbedder(pretrained="default", n_components=64).fit_transform(X)


def precision(features, n_neighbors=10):
    """Return the share of the nearest other series that are of the same kind."""
    index = NearestNeighbors(n_neighbors=n_neighbors + 1).fit(features)
    _, neighbours = index.kneighbors(features[:500])
    return (kinds[neighbours[:, 1:]] == kinds[:500, np.newaxis]).mean(), neighbours


code_precision, neighbours = precision(codes)
raw_precision, _ = precision(X)
print(f"ten nearest of the same kind: 64 numbers {code_precision:.3f}, raw {raw_precision:.3f}")

# %%
# Four queries and their three nearest series
# -------------------------------------------

figure, axes = plt.subplots(4, 4, figsize=(8, 5), sharex=True, sharey=True, layout="constrained")
for row, kind in zip(axes, range(len(KINDS)), strict=True):
    query = int(np.flatnonzero(kinds[:500] == kind)[0])
    for ax, found in zip(row, neighbours[query, :4], strict=True):
        ax.plot(X[found], linewidth=0.8, color="0.2" if found == query else "C0")
        ax.set_axis_off()
    row[0].set_title(f"query: {KINDS[kind]}", fontsize="small", loc="left")
plt.show()
