"""
Clusters of embeddings
======================

Embeddings are learnt without labels, and so are clusters of them. Here KMeans groups series by
their embeddings, by embeddings from an untrained encoder, and by their raw values. The adjusted
Rand index measures how well the groups match labels that no method saw: 0 by chance, 1 if they are
the same.

Run it with ``python examples/plot_clustering.py``. It takes half a minute.
"""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sktime.datasets import load_arrow_head, load_basic_motions, load_italy_power_demand

from fei_sklearn import FEIEmbedder

SETS = {
    "BasicMotions": load_basic_motions,
    "ItalyPowerDemand": load_italy_power_demand,
    "ArrowHead": load_arrow_head,
}


def agreement(features, X, y):
    """Return the adjusted Rand index of the labels and the same number of clusters."""
    n_classes = len(np.unique(y))
    kmeans = KMeans(n_classes, n_init=10, random_state=0)
    clusters = make_pipeline(features, StandardScaler(), kmeans).fit_predict(X)
    return adjusted_rand_score(y, clusters)


def main(sets=tuple(SETS), **params):
    """Print a table of agreement; `params` go to the embedder."""
    params = {"encoder": "tiny", "pooling": "mean", "max_epochs": 10, "random_state": 0} | params
    embeddings = {
        "FEI": FEIEmbedder(**params),
        "untrained": FEIEmbedder(**params | {"max_epochs": 0}),
        "raw series": FunctionTransformer(lambda X: X.reshape(len(X), -1)),
    }
    print(f"{'adjusted Rand index':20}" + "".join(f"{name:>12}" for name in embeddings))
    for name in sets:
        X, y = SETS[name](split="train", return_type="numpy3d")
        scores = [agreement(features, X, y) for features in embeddings.values()]
        print(f"{name:20}" + "".join(f"{score:12.3f}" for score in scores))


if __name__ == "__main__":
    main()
