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

import numpy as np
import pandas as pd
import sktime
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from fei_sklearn import FEIEmbedder

WINDOW = 128
STEP = 4
#: Time points at the beginning that count as normal.
NORMAL = 3000


def load():
    """Return the MIT-BIH electrocardiogram, 7500 time points, and where its rhythm is abnormal."""
    folder = Path(sktime.__file__).parent / "datasets" / "data" / "mitdb"
    frame = pd.read_csv(folder / "mitdb.csv")
    return frame["data"].to_numpy(), frame["label"].to_numpy()


def score(features, n_normal, n_neighbors=5):
    """Return the mean distance of each window to its nearest neighbours among the normal ones."""
    scaler = StandardScaler().fit(features[:n_normal])
    scaled = scaler.transform(features)
    neighbours = NearestNeighbors(n_neighbors=n_neighbors).fit(scaled[:n_normal])
    distances, _ = neighbours.kneighbors(scaled[n_normal:])
    return distances.mean(axis=1)


def main():
    """Print how well both scores rank the abnormal moments."""
    series, labels = load()
    windows = np.lib.stride_tricks.sliding_window_view(series, WINDOW)[::STEP]
    ends = np.arange(WINDOW - 1, len(series), STEP)
    n_normal = int((ends < NORMAL).sum())

    embedder = FEIEmbedder(pretrained="default", n_jobs=1).fit(windows[:n_normal])
    embeddings, embedded_ends = embedder.transform_sliding(
        series[np.newaxis], window_length=WINDOW, step=STEP
    )
    np.testing.assert_array_equal(embedded_ends, ends)

    # a moment counts as abnormal if the window behind it holds an abnormal time point
    label_windows = np.lib.stride_tricks.sliding_window_view(labels, WINDOW)[::STEP]
    abnormal = label_windows.max(axis=1)[n_normal:]
    print(f"{len(abnormal)} windows to score, {abnormal.mean():.1%} of them abnormal")
    print(f"{'':<16}{'ROC AUC':>10}{'avg. prec.':>12}")
    for name, features in {"FEI": embeddings[0], "raw windows": windows}.items():
        scores = score(features, n_normal)
        roc_auc = roc_auc_score(abnormal, scores)
        precision = average_precision_score(abnormal, scores)
        print(f"{name:<16}{roc_auc:10.3f}{precision:12.3f}")


if __name__ == "__main__":
    main()
