"""The sets of an evaluation: which, and their arrays, checked and standardised."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fei_sklearn import datasets
from fei_sklearn.evaluation.protocols import Task
from fei_sklearn.evaluation.splits import thin
from fei_sklearn.evaluation.standardise import TimeIndexStandardiser, as_panel

TASKS = ("classification", "regression")


class SetError(ValueError):
    """A set that cannot be evaluated."""


def choose_sets(data: Any, sets: Sequence[Any] | None, task: str | None) -> dict[str, Any]:
    """What to evaluate on.

    Parameters
    ----------
    data : path-like or None
        Folder of the sets.
    sets : sequence of str, path-like or Dataset, or None
        Names, patterns, paths, or loaded sets; None takes all labelled ones of the folder.
    task : str or None
        Only the sets for this task, where they are not named one by one.

    Returns
    -------
    dict of str to str, path-like or Dataset
        By the name that records have: what `load_dataset` takes, or a set that is loaded.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If there are no such sets, or two of one name.
    """
    if data is not None and not Path(data).is_dir():
        raise FileNotFoundError(f"There is no folder {str(data)!r}: give the folder of the sets.")
    if sets is None:
        if data is None:
            raise ValueError("Neither data nor sets are given: name a folder of sets, or sets.")
        found = _labelled(data, task)
        if not found:
            wanted = f"{task} sets" if task else "labelled sets"
            raise ValueError(f"There are no {wanted} in {str(data)!r}.")
        return {name: name for name in found}
    known = {name.lower(): name for name in datasets.list_datasets()}
    chosen: dict[str, Any] = {}
    for source in sets:
        for name, one in _named(source, data, task, known):
            if name in chosen and chosen[name] is not one and chosen[name] != one:
                raise ValueError(f"There are two sets of the name {name!r}: rename one.")
            chosen[name] = one
    return chosen


def _labelled(data: Any, task: str | None) -> list[str]:
    return [name for t in ([task] if task else TASKS) for name in datasets.datasets_in(data, t)]


def _named(
    source: Any, data: Any, task: str | None, known: dict[str, str]
) -> Iterator[tuple[str, Any]]:
    """The sets that a name, a pattern or a path stands for, each with the name in the records."""
    if isinstance(source, datasets.Dataset):
        yield source.name, source
    elif any(sign in str(source) for sign in "*?["):
        matching = fnmatch.filter(_labelled(data, task) if data is not None else [], str(source))
        if not matching:
            raise ValueError(f"No set in {str(data)!r} matches {source!r}.")
        yield from ((name, name) for name in matching)
    elif str(source).lower() in known:
        name = known[str(source).lower()]
        yield name, name
    else:  # a path without its folders and ending, which are this machine's
        yield Path(source).name.removesuffix(".npz"), source


def load_task(
    source: Any,
    data: Any,
    task: str | None,
    *,
    paper_protocol: bool,
    per_time_index: bool,
    most: int | None = None,
) -> Task:
    """Load a set and check it.

    Parameters
    ----------
    source : str, path-like or Dataset
        As :func:`choose_sets` gives it.
    data : path-like or None
        Folder of the sets.
    task : str or None
        What the set has to be for.
    paper_protocol : bool
        Cut the paper's sets as it did.
    per_time_index : bool
        Standardise each channel and time index by the training part.
    most : int or None
        Most series to train on, and to validate on.

    Returns
    -------
    Task
        Its arrays.

    Raises
    ------
    SetError
        If it cannot be read or evaluated.
    """
    try:
        if not isinstance(source, datasets.Dataset):
            source = datasets.load_dataset(source, root=data, paper_protocol=paper_protocol)
        return _task(source, task, per_time_index, most)
    except Exception as error:  # whatever is wrong with a set is wrong with that set alone
        raise SetError(str(error) or type(error).__name__) from error


def _task(dataset: Any, wanted: str | None, per_time_index: bool, most: int | None) -> Task:
    """The arrays of a set, checked and standardised."""
    if dataset.task not in TASKS or dataset.y_train is None:
        raise ValueError(f"{dataset.name!r} has no labels to evaluate on.")
    if wanted is not None and dataset.task != wanted:
        raise ValueError(f"{dataset.name!r} is a {dataset.task} set, not one of {wanted}.")
    if dataset.X_test is None or dataset.y_test is None or not len(dataset.X_test):
        raise ValueError(f"{dataset.name!r} has no test part.")
    classes = dataset.task == "classification"
    y_train = np.asarray(dataset.y_train)
    if classes:
        _check_labels(dataset, y_train)
    panels = {"train": as_panel(dataset.X_train), "test": as_panel(dataset.X_test)}
    groups, y_val = dataset.groups_train, None
    if dataset.X_val is not None and dataset.y_val is not None and len(dataset.X_val) > 0:
        panels["val"], y_val = as_panel(dataset.X_val), np.asarray(dataset.y_val)
    if np.isnan(panels["train"]).all():
        raise ValueError(f"{dataset.name!r} has nothing but missing values in its training part.")
    if most is not None:
        rows = thin(y_train, most, classes=classes)
        panels["train"], y_train = panels["train"][rows], y_train[rows]
        groups = None if groups is None else groups[rows]
        if y_val is not None:
            rows = thin(y_val, most, classes=classes)
            panels["val"], y_val = panels["val"][rows], y_val[rows]
    if per_time_index:
        standardise = TimeIndexStandardiser(panels["train"])
        panels = {part: standardise(X) for part, X in panels.items()}
    return Task(
        classes,
        panels["train"],
        y_train,
        panels["test"],
        np.asarray(dataset.y_test),
        panels.get("val"),
        y_val,
        groups,
    )


def _check_labels(dataset: Any, y_train: np.ndarray) -> None:
    known = np.unique(y_train)
    if len(known) < 2:
        raise ValueError(f"{dataset.name!r} has the class {known[0]} alone in its training part.")
    for part in ("val", "test"):
        y = getattr(dataset, f"y_{part}")
        absent = np.setdiff1d(known if y is None else y, known)
        if len(absent):
            raise ValueError(
                f"{dataset.name!r} has the class {absent[0]} in its {part} part and not in its "
                "training part."
            )
