"""Readers of published benchmark sets, a registry of those that the paper uses, and a corpus.

Nothing is downloaded: :func:`describe_dataset` returns where to fetch a set and where to put it.
"""

from fei_sklearn.datasets._dataset import Dataset
from fei_sklearn.datasets._load import datasets_in, describe_dataset, list_datasets, load_dataset
from fei_sklearn.datasets.corpus import iter_corpus, make_corpus

__all__ = [
    "Dataset",
    "datasets_in",
    "describe_dataset",
    "iter_corpus",
    "list_datasets",
    "load_dataset",
    "make_corpus",
]
