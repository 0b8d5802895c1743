"""
An anomaly in a long series
===========================

Embed windows of an electrocardiogram that sktime ships with a bundled checkpoint, which takes its
scaling from the beginning of the series, and score each later moment by how far the embedding of
the window before it is from those of the beginning. The baseline scores the raw windows in the same
way. Labels serve for the score alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import sktime
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from fei_sklearn import FEIEmbedder

WINDOW, STEP = 128, 4
#: Time points at the beginning, which are taken to be normal.
NORMAL = 3000


def load():
    """MIT-BIH electrocardiogram, 7500 time points, and where its rhythm is abnormal."""
    folder = Path(sktime.__file__).parent / "datasets" / "data" / "mitdb"
    frame = pd.read_csv(folder / "mitdb.csv")
    return frame["data"].to_numpy(), frame["label"].to_numpy()


def score(features, n_normal, n_neighbors=5):
    """Mean distance of each window to its nearest neighbours among the normal ones."""
    features = StandardScaler().fit(features[:n_normal]).transform(features)
    neighbours = NearestNeighbors(n_neighbors=n_neighbors).fit(features[:n_normal])
    return neighbours.kneighbors(features[n_normal:])[0].mean(axis=1)


def main():
    """Print how well both scores rank the abnormal moments."""
    series, labels = load()
    windows = np.lib.stride_tricks.sliding_window_view(series, WINDOW)[::STEP]
    ends = np.arange(WINDOW - 1, len(series), STEP)
    n_normal = int((ends < NORMAL).sum())

    embedder = FEIEmbedder(pretrained="fei-tiny", n_jobs=1).fit(windows[:n_normal])
    embeddings, embedded_ends = embedder.transform_sliding(
        series[np.newaxis], window_length=WINDOW, step=STEP
    )
    assert (embedded_ends == ends).all()

    # a moment counts as abnormal if the window behind it holds an abnormal time point
    behind = np.array([labels[end - WINDOW + 1 : end + 1].max() for end in ends])
    abnormal = behind[n_normal:]
    print(f"{len(abnormal)} windows to score, {abnormal.mean():.1%} of them abnormal")
    print(f"{'':<16}{'ROC AUC':>10}{'avg. prec.':>12}")
    for name, features in (("FEI", embeddings[0]), ("raw windows", windows)):
        scores = score(features, n_normal)
        print(
            f"{name:<16}{roc_auc_score(abnormal, scores):10.3f}"
            f"{average_precision_score(abnormal, scores):12.3f}"
        )


if __name__ == "__main__":
    main()
