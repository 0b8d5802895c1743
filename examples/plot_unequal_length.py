"""
Series of unequal length
========================

JapaneseVowels has 12 channels and from 7 to 29 time points; the classes are nine speakers. FEI
accepts such series as they are, in sktime's frames or as a list of arrays. The baseline has the
mean, standard deviation and extremes of each channel, which say much about a speaker already.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sktime.datasets import load_japanese_vowels
from sktime.datatypes import convert_to

from fei_sklearn import FEIEmbedder

# %%
# Series as a list of arrays
# --------------------------


def load(split):
    """Return arrays of shape (n_channels, n_timepoints_i), and the speakers."""
    frame, y = load_japanese_vowels(split=split, return_type="nested_univ")
    return [series.to_numpy().T for series in convert_to(frame, "df-list")], y


X_train, y_train = load("train")
X_test, y_test = load("test")
lengths = [series.shape[1] for series in X_train]
print(f"{len(X_train)} series of {min(lengths)} to {max(lengths)} time points")

# %%
# Embeddings, statistics, and both
# --------------------------------


def statistics(series):
    """Return mean, standard deviation, least and largest value of each channel."""
    rows = []
    for x in series:
        values = [x.mean(axis=1), x.std(axis=1), x.min(axis=1), x.max(axis=1)]
        rows.append(np.hstack(values))
    return np.array(rows)


embedder = FEIEmbedder(pretrained="default").fit(X_train)
features = {
    "embeddings": (embedder.transform(X_train), embedder.transform(X_test)),
    "statistics": (statistics(X_train), statistics(X_test)),
}
features["both"] = tuple(map(np.hstack, zip(*features.values(), strict=True)))
print(f"{'features':12} accuracy")
for name, (train, test) in features.items():
    head = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 5, 17)))
    head.fit(train, y_train)
    print(f"{name:12} {head.score(test, y_test):.3f}")

# %%
# Who is taken for whom
# ---------------------

figure, axes = plt.subplots(figsize=(5, 4.5), layout="constrained")
predicted = head.predict(features["both"][1])
ConfusionMatrixDisplay.from_predictions(y_test, predicted, ax=axes, cmap="Greys")
axes.set_title("embeddings and statistics")
plt.show()
