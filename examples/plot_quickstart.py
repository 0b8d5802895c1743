"""
Which features for a linear head?
=================================

Three sets that sktime ships are embedded in three ways: by the bundled checkpoint, by an encoder
that :class:`~fei_sklearn.FEIEmbedder` pretrains on the set itself without labels, and by the same
encoder without training. Raw series and MiniRocket are the baselines. The head is ridge regression
for all. ``make demo`` runs this script and writes ``quickstart.png``.
"""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sktime.datasets import load_gunpoint, load_italy_power_demand, load_tecator
from sktime.transformations.panel.rocket import MiniRocket

from fei_sklearn import FEIEmbedder

# %%
# Sets and heads
# --------------
# Two sets are classified. Tecator is regressed: its target is the fat of meat, and its series are
# spectra. Spectra differ by offsets that mean nothing, so each is scaled by itself.

PENALTIES = np.logspace(-3, 5, 17)

sets = {
    "ItalyPowerDemand": (load_italy_power_demand, RidgeClassifierCV(PENALTIES), "channel"),
    "GunPoint": (load_gunpoint, RidgeClassifierCV(PENALTIES), "channel"),
    "Tecator": (load_tecator, RidgeCV(PENALTIES), "series"),
}


def load(loader):
    """Return the training and test part of a set that sktime ships, as 3-D arrays."""
    X_train, y_train = loader(split="train", return_type="numpy3d")
    X_test, y_test = loader(split="test", return_type="numpy3d")
    return X_train, y_train, X_test, y_test


# %%
# Features
# --------


class MiniRocketFeatures(TransformerMixin, BaseEstimator):
    """sktime's MiniRocket as a scikit-learn transformer of 3-D panels."""

    def fit(self, X, y=None):
        """Fit the biases on the panel."""
        self.rocket_ = MiniRocket(random_state=0).fit(X)
        return self

    def transform(self, X):
        """Return the features of the panel, (n_samples, 9996)."""
        return self.rocket_.transform(X).to_numpy()


def features(scaling):
    """Return the transformers that are compared, by name."""
    # one thread: several are no faster on sets this small, and far slower on a busy machine
    common = {"scaling": scaling, "random_state": 0, "n_jobs": 1}
    return {
        "checkpoint": FEIEmbedder(pretrained="default", **common),
        "from scratch": FEIEmbedder(**common),
        "untrained": FEIEmbedder(max_epochs=0, **common),
        "MiniRocket": MiniRocketFeatures(),
        "raw series": FunctionTransformer(lambda X: X.reshape(len(X), -1)),
    }


# %%
# Scores on the test parts
# ------------------------

scores = {}
for set_name, (loader, head, scaling) in sets.items():
    X_train, y_train, X_test, y_test = load(loader)
    for name, transformer in features(scaling).items():
        model = make_pipeline(transformer, StandardScaler(), head)
        model.fit(X_train, y_train)
        scores[set_name, name] = model.score(X_test, y_test)

names = list(features("channel"))
print(" " * 18 + "".join(f"{name:>14}" for name in names))
for set_name in sets:
    row = "".join(f"{scores[set_name, name]:14.3f}" for name in names)
    print(f"{set_name:<18}{row}")

# %%
# The scores in a picture
# -----------------------
# Three sets show that the pieces fit together, not which features are better. On 64 sets the
# checkpoint is about one point above MiniRocket, and level with the same encoder before training.

figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
offsets = np.linspace(-0.3, 0.3, len(names))
for name, marker, offset in zip(names, "osv^x", offsets, strict=True):
    values = [scores[set_name, name] for set_name in sets]
    axes.plot(values, np.arange(len(sets)) + offset, marker, label=name)
axes.set_yticks(range(len(sets)), sets)
axes.set_ylim(len(sets) - 0.5, -0.5)
axes.set_xlabel("score on the test part: accuracy, and R2 for Tecator")
axes.grid(axis="x", alpha=0.3)
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=120)
else:
    plt.show()
