"""
Series of unequal length
========================

JapaneseVowels has 12 channels and from 7 to 29 time points; nine speakers are to be told apart.
FEI takes such series as they are, in sktime's frames or as a list of arrays. Its embeddings are
compared with those of an untrained encoder and with the mean, spread and extremes of each channel.

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
    """The classifier on all features."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def statistics(series):
    """Mean, standard deviation, least and largest value of each channel."""
    return np.array(
        [np.hstack([f(x, axis=1) for f in (np.mean, np.std, np.min, np.max)]) for x in series]
    )


def main(**params):
    """Print accuracies of FEI and of two baselines; `params` go to the transformer."""
    X_train, y_train = load_japanese_vowels(split="train", return_type="nested_univ")
    X_test, y_test = load_japanese_vowels(split="test", return_type="nested_univ")

    params = {"encoder": "tiny", "layers": "all", "max_epochs": 10, "random_state": 0} | params
    params = {"pooling": ("mean", "max", "std")} | params
    trained = FEITransformer(**params)
    untrained = FEITransformer(**params | {"max_epochs": 0})

    print(f"{'features':20} accuracy")
    for name, transformer in {"FEI": trained, "untrained": untrained}.items():
        model = transformer * head()
        print(f"{name:20} {model.fit(X_train, y_train).score(X_test, y_test):.3f}")
    # without sktime: arrays of shape (n_channels, n_timepoints), each of its own length
    train, test = (
        [frame.to_numpy().T for frame in convert_to(X, "df-list")] for X in (X_train, X_test)
    )
    model = head().fit(statistics(train), y_train)
    print(f"{'statistics':20} {model.score(statistics(test), y_test):.3f}")

    untrained.fit(X_train)
    embeddings = FEIEmbedder(**untrained.get_params()).fit(train).transform(test)
    same = np.array_equal(embeddings, untrained.transform(X_test))
    print(f"\nFEIEmbedder gives the same for a list of arrays: {same}")


if __name__ == "__main__":
    main()
