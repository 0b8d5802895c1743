"""
Few labels: how many are enough?
================================

A checkpoint embeds all series without labels. A ridge head then sees one, two, five or ten labelled
series per class. The baselines are MiniRocket, whose biases are fitted on the same unlabelled
series, and the raw series. The four sets come with sktime.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sktime.datasets import (
    load_arrow_head,
    load_gunpoint,
    load_italy_power_demand,
    load_osuleaf,
)
from sktime.transformations.panel.rocket import MiniRocket

from fei_sklearn import FEIEmbedder

SETS = (load_arrow_head, load_gunpoint, load_italy_power_demand, load_osuleaf)
LABELS = (1, 2, 5, 10)
N_DRAWS = 10


# %%
# Features without labels
# -----------------------
# Every method is fitted on the training part, and standardised on it. No method sees a label.


def flatten(X):
    """Return series as rows."""
    return X.reshape(len(X), -1)


def unlabelled_features(transformer, X_train, X_test):
    """Return the standardised features of both parts."""
    train = np.asarray(transformer.fit_transform(X_train))
    test = np.asarray(transformer.transform(X_test))
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


methods = {
    "FEI, checkpoint": lambda: FEIEmbedder(pretrained="default"),
    "MiniRocket": lambda: MiniRocket(random_state=0, n_jobs=1),
    "raw series": lambda: FunctionTransformer(flatten),
}

# %%
# Heads on few labels
# -------------------
# Each draw labels the same series for every method. The penalty is fixed, because one or two
# labels per class cannot choose it.


def labelled_rows(y, n_labels, seed):
    """Draw labelled series, the same number of each class where there are as many."""
    order = np.random.default_rng(seed).permutation(len(y))
    return np.concatenate([order[y[order] == label][:n_labels] for label in np.unique(y)])


accuracy = {name: np.zeros((len(SETS), len(LABELS))) for name in methods}
for i, load in enumerate(SETS):
    X_train, y_train = load(split="train", return_type="numpy3d")
    X_test, y_test = load(split="test", return_type="numpy3d")
    for name, make in methods.items():
        train, test = unlabelled_features(make(), X_train, X_test)
        for j, n_labels in enumerate(LABELS):
            for seed in range(N_DRAWS):
                rows = labelled_rows(y_train, n_labels, seed)
                head = RidgeClassifier(alpha=0.1 * train.shape[1]).fit(train[rows], y_train[rows])
                accuracy[name][i, j] += head.score(test, y_test) / N_DRAWS

print("labels per class".ljust(18) + "".join(f"{n_labels:8}" for n_labels in LABELS))
for name, of_sets in accuracy.items():
    print(name.ljust(18) + "".join(f"{mean:8.3f}" for mean in of_sets.mean(axis=0)))

# the standard error over four sets is large: four sets are an illustration, not a proof
lead = accuracy["FEI, checkpoint"] - accuracy["MiniRocket"]
error = lead.std(axis=0, ddof=1) / np.sqrt(len(SETS))
print("FEI - MiniRocket  " + "".join(f"{mean:+8.3f}" for mean in lead.mean(axis=0)))
print("  standard error  " + "".join(f"{se:8.3f}" for se in error))

# %%
# Accuracy by number of labels
# ----------------------------

figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
styles = {"FEI, checkpoint": "o-", "MiniRocket": "s--", "raw series": "^:"}
for name, of_sets in accuracy.items():
    axes.plot(range(len(LABELS)), of_sets.mean(axis=0), styles[name], label=name)
axes.set_xticks(range(len(LABELS)), LABELS)
axes.set_xlabel("labelled series per class")
axes.set_ylabel("accuracy on the test part")
axes.set_title("Mean of four UCR sets, ten draws of the labels")
axes.grid(alpha=0.3)
axes.legend()
plt.show()
