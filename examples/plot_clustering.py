"""
Clusters of embeddings
======================

Embeddings are learnt without labels, and so are clusters of them. KMeans groups series by the 64
numbers of a short embedding, and by their raw values. The adjusted Rand index measures how well the
groups match labels that no method saw: 0 by chance, 1 if they are the same.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sktime.datasets import load_arrow_head, load_basic_motions, load_italy_power_demand

from fei_sklearn import FEIEmbedder
from fei_sklearn.displays import EmbeddingDisplay

SETS = {
    "BasicMotions": load_basic_motions,
    "ItalyPowerDemand": load_italy_power_demand,
    "ArrowHead": load_arrow_head,
}


# %%
# Agreement with the labels
# -------------------------
# The short embedding needs no scaler, since its first axes matter most.


def flatten(X):
    """Return series as rows."""
    return X.reshape(len(X), -1)


features = {
    "FEI, 64 numbers": FEIEmbedder(pretrained="default", n_components=64),
    "raw series": make_pipeline(FunctionTransformer(flatten), StandardScaler()),
}
print(f"{'adjusted Rand index':20}" + "".join(f"{name:>18}" for name in features))
for set_name, load in SETS.items():
    X, y = load(split="train", return_type="numpy3d")
    scores = []
    for transformer in features.values():
        kmeans = KMeans(len(np.unique(y)), n_init=10, random_state=0)
        clusters = make_pipeline(transformer, kmeans).fit_predict(X)
        scores.append(adjusted_rand_score(y, clusters))
    print(f"{set_name:20}" + "".join(f"{score:18.3f}" for score in scores))

# %%
# Clusters and labels of BasicMotions
# -----------------------------------

X, y = load_basic_motions(split="train", return_type="numpy3d")
embedder = FEIEmbedder(pretrained="default", n_components=64).fit(X)
clusters = KMeans(4, n_init=10, random_state=0).fit_predict(embedder.transform(X))
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
EmbeddingDisplay.from_estimator(embedder, X, y, ax=left)
left.set_title("labels")
names = np.array([f"cluster {cluster}" for cluster in clusters])
EmbeddingDisplay.from_estimator(embedder, X, names, ax=right)
right.set_title("clusters")
plt.show()
