"""Folds on which probabilities are calibrated, also where a class has few series."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold

#: Folds, unless a class has fewer series.
N_FOLDS = 3


class CalibrationFolds:
    """Stratified folds, at most three and at most as many as the smallest class has series.

    scikit-learn would refuse a plain number of folds wherever a class has fewer series.
    """

    def __repr__(self) -> str:
        return "CalibrationFolds()"

    def get_n_splits(
        self,
        X: Any = None,
        y: Any = None,
        groups: Any = None,
    ) -> int:
        """Return the number of folds for labels."""
        # scikit-learn has replaced the labels by numbers, so no class can be named
        _, counts = np.unique(y, return_counts=True)
        smallest = int(counts.min())
        if smallest < 2:
            raise ValueError(
                "calibrated probabilities need two series of each class, but the smallest of the "
                f"{len(counts)} classes has {smallest}: give more series, leave the class out, or "
                "use probabilities=False."
            )
        return min(N_FOLDS, smallest)

    def split(
        self,
        X: Any,
        y: Any,
        groups: Any = None,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield training and test rows of each fold."""
        folds = StratifiedKFold(self.get_n_splits(X, y))
        yield from folds.split(X, y)
