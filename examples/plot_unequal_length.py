"""
Series of unequal length
========================

JapaneseVowels has 12 channels and from 7 to 29 time points; the classes are nine speakers. FEI
accepts such series as they are, in sktime's frames or as a list of arrays. The example compares its
embeddings with those of an untrained encoder, and with the mean, standard deviation and extremes of
each channel.

Run it with ``python examples/plot_unequal_length.py``. It takes less than a minute.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sktime.datasets import load_japanese_vowels
from sktime.datatypes import convert_to

from fei_sklearn import FEIEmbedder
from fei_sklearn.adapters.sktime import FEITransformer


def head():
    """Return the classifier, which is the same on all features."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def statistics(series):
    """Return mean, standard deviation, least and largest value of each channel."""
    rows = []
    for x in series:
        values = [x.mean(axis=1), x.std(axis=1), x.min(axis=1), x.max(axis=1)]
        rows.append(np.hstack(values))
    return np.array(rows)


def as_arrays(frame):
    """Return a nested frame as arrays of shape (n_channels, n_timepoints_i)."""
    return [series.to_numpy().T for series in convert_to(frame, "df-list")]


def main(**params):
    """Print accuracies of FEI and of two baselines; `params` go to the transformer."""
    X_train, y_train = load_japanese_vowels(split="train", return_type="nested_univ")
    X_test, y_test = load_japanese_vowels(split="test", return_type="nested_univ")

    defaults = {"encoder": "tiny", "layers": "all", "max_epochs": 10, "random_state": 0}
    defaults["pooling"] = ("mean", "max", "std")
    params = defaults | params
    trained = FEITransformer(**params)
    untrained = FEITransformer(**params | {"max_epochs": 0})

    print(f"{'features':20} accuracy")
    for name, transformer in {"FEI": trained, "untrained": untrained}.items():
        model = transformer * head()
        model.fit(X_train, y_train)
        print(f"{name:20} {model.score(X_test, y_test):.3f}")
    train = as_arrays(X_train)
    test = as_arrays(X_test)
    model = head().fit(statistics(train), y_train)
    print(f"{'statistics':20} {model.score(statistics(test), y_test):.3f}")

    untrained.fit(X_train)
    embeddings = FEIEmbedder(**untrained.get_params()).fit(train).transform(test)
    same = np.array_equal(embeddings, untrained.transform(X_test))
    print(f"\nFEIEmbedder gives the same for a list of arrays: {same}")


if __name__ == "__main__":
    main()
