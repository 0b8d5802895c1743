"""
Drift of a stream
=================

A machine sends one series per minute. Has its behaviour changed? The embeddings of the first hours
are the reference. Each later batch is compared with the reference by the distance of means in
units of the reference's own spread, against what batches of the reference have by chance.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from fei_sklearn import FEIEmbedder

N_TIMEPOINTS = 128
BATCH = 40

# %%
# The stream
# ----------
# From series 1,200 on, a second vibration grows, which changes neither mean nor deviation: each
# series is standardised by itself.

rng = np.random.default_rng(0)
n_series = 2400
time = np.arange(N_TIMEPOINTS)
phase = rng.uniform(0, 2 * np.pi, size=(2, n_series, 1))
growth = np.clip(np.arange(n_series) - 1200, 0, None)[:, np.newaxis] / 1200
X = np.sin(time / 8 + phase[0]) + 0.4 * growth * np.sin(time / 3 + phase[1])
X += 0.3 * rng.normal(size=X.shape)
X = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)

# %%
# Distance to the reference
# -------------------------
# A batch is a vector of means. Its distance to the reference is a root mean square over the
# embedding's numbers, each in units of its standard error.

codes = FEIEmbedder(pretrained="default", n_components=32).fit(X[:800]).transform(X)
batches = codes.reshape(-1, BATCH, codes.shape[1])
n_reference = 800 // BATCH
reference = codes[:800]
standard_error = reference.std(axis=0) / np.sqrt(BATCH)
z = (batches.mean(axis=1) - reference.mean(axis=0)) / standard_error
distance = np.sqrt((z**2).mean(axis=1))
threshold = distance[:n_reference].mean() + 3 * distance[:n_reference].std()
first_alarm = int(np.flatnonzero(distance[n_reference:] > threshold)[0] + n_reference)
print(f"threshold {threshold:.2f}, first alarm in batch {first_alarm}")
print(f"the change began in batch {1200 // BATCH}, at {growth[first_alarm * BATCH, 0]:.0%} of it")

# %%
# The alarm
# ---------

figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
axes.plot(distance, ".-", label="distance to the reference")
axes.axhline(threshold, linestyle="--", color="0.3", label="threshold")
axes.axvspan(0, n_reference - 1, alpha=0.15, color="0.5", label="reference")
axes.axvline(1200 // BATCH, linestyle=":", color="0.3", label="the change begins")
axes.set_xlabel(f"batch of {BATCH} series")
axes.set_ylabel("distance")
axes.legend(fontsize="small")
plt.show()
