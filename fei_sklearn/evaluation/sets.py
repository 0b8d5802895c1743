"""Labelled sets of an evaluation: choose them, load them, check and standardise them."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fei_sklearn import datasets
from fei_sklearn.evaluation.choices import TASKS
from fei_sklearn.evaluation.splits import thin
from fei_sklearn.evaluation.standardise import TimeIndexStandardiser, as_panel

Folder = str | os.PathLike[str]

#: A set as `load_dataset` finds it, or a loaded one.
Source = str | os.PathLike[str] | datasets.Dataset


class SetError(ValueError):
    """A set that cannot be evaluated."""


@dataclass(frozen=True)
class Task:
    """Arrays of a labelled set, checked and, where wanted, standardised.

    Attributes
    ----------
    classes : bool
        Whether the targets are classes.
    X_train, X_test : ndarray of shape (n_samples, n_channels, n_timepoints)
        Panels.
    y_train, y_test : ndarray of shape (n_samples,)
        Labels or targets.
    X_val, y_val : ndarray or None
        The validation part, if the set has one.
    groups : ndarray of shape (n_samples,) or None
        Groups of the training series.
    """

    classes: bool
    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    X_val: np.ndarray | None = None
    y_val: np.ndarray | None = None
    groups: np.ndarray | None = None

    def with_training_rows(self, rows: np.ndarray) -> Task:
        """Return the task with some of its training series, given by their row numbers."""
        X_train = self.X_train[rows]
        y_train = self.y_train[rows]
        groups = None if self.groups is None else self.groups[rows]
        return replace(self, X_train=X_train, y_train=y_train, groups=groups)


@dataclass(frozen=True)
class SetOptions:
    """Options of loading sets.

    Attributes
    ----------
    data : path-like or None
        Folder of the sets.
    task : {"classification", "regression"} or None
        Task that a set must have; None allows both.
    paper_protocol : bool
        Cut the paper's sets as the paper does.
    per_time_index : bool
        Standardise each channel and time index by the training part.
    most : int or None
        Largest number of series to train on, and to validate on; None takes all.
    label : str or None
        Column of the labels of tables.
    """

    data: Folder | None = None
    task: str | None = None
    paper_protocol: bool = False
    per_time_index: bool = False
    most: int | None = None
    label: str | None = None


def choose_sets(
    data: Folder | None,
    sets: Sequence[Source] | None,
    task: str | None,
    label: str | None = None,
) -> dict[str, Source]:
    """Choose the sets to evaluate on.

    Parameters
    ----------
    data : path-like or None
        Folder of the sets.
    sets : sequence of str, path-like or Dataset, or None
        Names, patterns, paths, or loaded sets; None takes all labelled sets of the folder.
    task : str or None
        Only the sets for this task, where sets are not named one by one.
    label : str, default=None
        Column of the labels of tables.

    Returns
    -------
    dict of str to str, path-like or Dataset
        Name in the records -> argument of `load_dataset`, or a loaded set.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If there are no such sets, or two sets of one name.
    """
    if data is not None and not Path(data).is_dir():
        raise FileNotFoundError(f"There is no folder {str(data)!r}: give the folder of the sets.")
    if sets is None:
        return _all_sets(data, task, label)
    chosen: dict[str, Source] = {}
    for source in sets:
        for name, found in _named(source, data, task, label):
            earlier = chosen.get(name, found)
            if earlier is not found and earlier != found:
                raise ValueError(f"There are two sets of the name {name!r}: rename one.")
            chosen[name] = found
    return chosen


def _all_sets(
    data: Folder | None,
    task: str | None,
    label: str | None,
) -> dict[str, Source]:
    if data is None:
        raise ValueError("Neither data nor sets are given: name a folder of sets, or sets.")
    names = _labelled(data, task, label)
    if not names:
        kind = task or "labelled"
        raise ValueError(f"There are no {kind} sets in {str(data)!r}: give another folder.")
    return {name: name for name in names}


def _labelled(data: Folder, task: str | None, label: str | None) -> list[str]:
    tasks = (task,) if task else TASKS
    names = []
    for wanted in tasks:
        names += datasets.datasets_in(data, wanted, label=label)
    return names


def _named(
    source: Source,
    data: Folder | None,
    task: str | None,
    label: str | None,
) -> Iterator[tuple[str, Source]]:
    """Yield the sets of a name, a pattern or a path, each with its name in the records."""
    if isinstance(source, datasets.Dataset):
        yield source.name, source
        return
    text = str(source)
    if any(sign in text for sign in "*?["):
        for name in _matching(text, data, task, label):
            yield name, name
        return
    for name in datasets.list_datasets():
        if name.lower() == text.lower():
            yield name, name
            return
    # records of one set agree across machines, so folders and ending are left out
    file_name = Path(source).name
    yield file_name.removesuffix(".npz"), source


def _matching(
    pattern: str,
    data: Folder | None,
    task: str | None,
    label: str | None,
) -> list[str]:
    names: list[str] = []
    if data is not None:
        names = _labelled(data, task, label)
    matching = fnmatch.filter(names, pattern)
    if not matching:
        raise ValueError(f"No set in {str(data)!r} matches {pattern!r}: give another pattern.")
    return matching


def load_task(source: Source, options: SetOptions) -> Task:
    """Load a set, check it and standardise it.

    Parameters
    ----------
    source : str, path-like or Dataset
        Value of a name in :func:`choose_sets`.
    options : SetOptions
        How to load.

    Returns
    -------
    Task
        Arrays of the set.

    Raises
    ------
    SetError
        If the set cannot be read or evaluated.
    """
    try:
        if isinstance(source, datasets.Dataset):
            return _task(source, options)
        dataset = datasets.load_dataset(
            source,
            root=options.data,
            label=options.label,
            paper_protocol=options.paper_protocol,
        )
        return _task(dataset, options)
    except Exception as error:  # a damaged set must not end the evaluation of the others
        reason = str(error) or type(error).__name__
        raise SetError(reason) from error


def _task(dataset: datasets.Dataset, options: SetOptions) -> Task:
    task = _arrays(dataset, options.task)
    if options.most is not None:
        task = _thinned(task, options.most)
    if options.per_time_index:
        task = _standardised(task)
    return task


def _arrays(dataset: datasets.Dataset, wanted: str | None) -> Task:
    """Return the arrays of a set that can be evaluated."""
    name = dataset.name
    if dataset.task not in TASKS or dataset.y_train is None:
        raise ValueError(f"{name!r} has no labels to evaluate on: give a labelled set.")
    if wanted is not None and dataset.task != wanted:
        raise ValueError(f"{name!r} is a {dataset.task} set: give a {wanted} set.")
    if dataset.X_test is None or dataset.y_test is None or len(dataset.X_test) == 0:
        raise ValueError(f"{name!r} has no test part: give a set with one.")
    classes = dataset.task == "classification"
    y_train = np.asarray(dataset.y_train)
    if classes:
        _check_labels(dataset, y_train)
    task = Task(
        classes=classes,
        X_train=as_panel(dataset.X_train),
        y_train=y_train,
        X_test=as_panel(dataset.X_test),
        y_test=np.asarray(dataset.y_test),
        groups=dataset.groups_train,
    )
    if np.isnan(task.X_train).all():
        raise ValueError(f"{name!r} has only missing values in its training part: leave it out.")
    if dataset.X_val is None or dataset.y_val is None or len(dataset.X_val) == 0:
        return task
    X_val = as_panel(dataset.X_val)
    y_val = np.asarray(dataset.y_val)
    return replace(task, X_val=X_val, y_val=y_val)


def _check_labels(dataset: datasets.Dataset, y_train: np.ndarray) -> None:
    classes = np.unique(y_train)
    if len(classes) < 2:
        only = _label(dataset, classes[0])
        raise ValueError(
            f"{dataset.name!r} has only the class {only} in its training part: give a set "
            "of at least two classes."
        )
    labels = {"val": dataset.y_val, "test": dataset.y_test}
    for part, y in labels.items():
        if y is None:
            continue
        unknown = np.setdiff1d(y, classes)
        if len(unknown):
            raise ValueError(
                f"{dataset.name!r} has the class {unknown[0]} in its {part} part and not in its "
                "training part: leave out the series of this class."
            )


def _label(dataset: datasets.Dataset, code: Any) -> Any:
    """Return the label of a code."""
    if dataset.classes is None:
        return code
    return dataset.classes[code]


def _thinned(task: Task, most: int) -> Task:
    """Return a task with a limited number of training and validation series."""
    rows = thin(task.y_train, most, classes=task.classes)
    thinned = task.with_training_rows(rows)
    if task.X_val is None or task.y_val is None:
        return thinned
    rows = thin(task.y_val, most, classes=task.classes)
    X_val = task.X_val[rows]
    y_val = task.y_val[rows]
    return replace(thinned, X_val=X_val, y_val=y_val)


def _standardised(task: Task) -> Task:
    """Return a task with panels standardised per time index by the training part."""
    standardise = TimeIndexStandardiser(task.X_train)
    X_train = standardise(task.X_train)
    X_test = standardise(task.X_test)
    standardised = replace(task, X_train=X_train, X_test=X_test)
    if task.X_val is None:
        return standardised
    X_val = standardise(task.X_val)
    return replace(standardised, X_val=X_val)
