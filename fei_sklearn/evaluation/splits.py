"""Splits of the training series: fewer series or labels, a validation part, and folds."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
)

#: Share of the training part that validates where a set has no validation part.
FRACTION = 0.2

N_FOLDS = 5


def thin(y: np.ndarray, most: int, *, classes: bool) -> np.ndarray:
    """Return the rows of a limited number of series, always the same ones.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels or targets.
    most : int
        Largest number of rows.
    classes : bool
        Whether `y` holds classes. If so, each class keeps its share, and at least one series.

    Returns
    -------
    ndarray of int
        Row numbers, ascending.
    """
    n_samples = len(y)
    generator = np.random.default_rng(0)
    rows = generator.permutation(n_samples)
    if n_samples <= most or not classes:
        return np.sort(rows[:most])
    kept = []
    for label in np.unique(y):
        rows_of_class = rows[y[rows] == label]
        n_kept = max(1, len(rows_of_class) * most // n_samples)
        kept.append(rows_of_class[:n_kept])
    return np.sort(np.concatenate(kept))


def labelled_rows(
    y: np.ndarray,
    n_labels: int,
    *,
    classes: bool,
    seed: int,
) -> np.ndarray:
    """Draw the rows whose labels a head sees.

    A larger number of labels under the same seed contains the rows of a smaller number.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels or targets.
    n_labels : int
        Rows per class, or in all for targets. Where there are fewer, all are drawn.
    classes : bool
        Whether `y` holds classes.
    seed : int
        Seed of the draw.

    Returns
    -------
    ndarray of int
        Row numbers, ascending.
    """
    rows = np.random.default_rng(seed).permutation(len(y))
    if not classes:
        return np.sort(rows[:n_labels])
    drawn = []
    for label in np.unique(y):
        rows_of_class = rows[y[rows] == label]
        drawn.append(rows_of_class[:n_labels])
    return np.sort(np.concatenate(drawn))


def hold_out(
    y: np.ndarray,
    groups: np.ndarray | None,
    *,
    classes: bool,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows into four fifths that train and a fifth that validates.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels or targets.
    groups : ndarray of shape (n_samples,) or None
        Engines, bearings or persons. All series of a group are on the same side.
    classes : bool
        Whether `y` holds classes. If so, without groups, a fifth of each class is held out, and
        each class keeps at least one series to train on.
    seed : int
        Seed of the draw.

    Returns
    -------
    rows, held_out : ndarray of int
        Row numbers, ascending. Data that cannot be split have nothing held out.
    """
    rows = np.arange(len(y))
    if groups is not None and len(np.unique(groups)) > 1:
        held_out = _hold_out_groups(y, groups, classes, seed)
    elif classes:
        held_out = _hold_out_per_class(y, seed)
    else:
        shuffled = np.random.default_rng(seed).permutation(rows)
        held_out = shuffled[: _fifth(len(rows))]
    held_out = np.sort(held_out)
    return np.setdiff1d(rows, held_out), held_out


def _hold_out_per_class(y: np.ndarray, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    held_out = []
    for label in np.unique(y):
        rows_of_class = generator.permutation(np.flatnonzero(y == label))
        held_out.append(rows_of_class[: _fifth(len(rows_of_class))])
    return np.concatenate(held_out)


def _fifth(n: int) -> int:
    return min(round(FRACTION * n), n - 1)


def _hold_out_groups(
    y: np.ndarray,
    groups: np.ndarray,
    classes: bool,
    seed: int,
) -> np.ndarray:
    n_groups = len(np.unique(groups))
    if classes and n_groups >= N_FOLDS:
        stratified = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=seed)
        splits = stratified.split(y, y, groups)
        try:
            _, held_out = next(splits)
            return np.asarray(held_out)
        except ValueError:  # a class has fewer series than there are folds
            pass
    shuffled = GroupShuffleSplit(1, test_size=FRACTION, random_state=seed)
    splits = shuffled.split(y, y, groups)
    _, held_out = next(splits)
    return np.asarray(held_out)


def folds(
    y: np.ndarray,
    groups: np.ndarray | None,
    *,
    classes: bool,
    seed: int,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return at most 5 folds, by group where groups are known, stratified for classes.

    Parameters
    ----------
    y, groups, classes, seed
        As in :func:`hold_out`.

    Returns
    -------
    list of pairs of ndarray of int
        Rows to fit and rows to score per fold. The list is empty if there are fewer than two
        series, groups, or series of a class. A fold is left out if its rows to fit lack a class.
    """
    n_folds = _n_folds(y, groups, classes)
    if n_folds < 2:
        return []
    if groups is not None and classes:
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    elif groups is not None:
        splitter = GroupKFold(n_folds)
    elif classes:
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    else:
        splitter = KFold(n_folds, shuffle=True, random_state=seed)
    pairs = []
    for rows, scored in splitter.split(y, y, groups):
        if classes and _lacks_a_class(y[rows], y):
            continue
        pairs.append((rows, scored))
    return pairs


def _lacks_a_class(some: np.ndarray, y: np.ndarray) -> bool:
    n_present = len(np.unique(some))
    n_classes = len(np.unique(y))
    return n_present < n_classes


def _n_folds(
    y: np.ndarray,
    groups: np.ndarray | None,
    classes: bool,
) -> int:
    limits = [N_FOLDS, len(y)]
    if groups is not None:
        n_groups = len(np.unique(groups))
        limits.append(n_groups)
    if classes:
        _, series_per_class = np.unique(y, return_counts=True)
        fewest = series_per_class.min()
        limits.append(int(fewest))
    return min(limits)
