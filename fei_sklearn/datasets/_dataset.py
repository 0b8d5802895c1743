"""The class that every reader returns, and the checks that all readers share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy import ndarray

#: Series of one length, or a list of arrays (n_channels, length_i).
Series: TypeAlias = "ndarray | list[ndarray]"

TASKS = ("classification", "regression", "pretraining")
PARTS = ("train", "val", "test")

#: Largest whole number up to which float64 tells all whole numbers apart.
LARGEST_WHOLE = 2**53


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Benchmark set in its parts: training, validation and test.

    Attributes
    ----------
    name : str
        Name in the registry, or name of the file.
    task : {"classification", "regression", "pretraining"}
        Task that the labels are for. A set for pretraining has no labels.
    X_train, X_test, X_val : ndarray of shape (n_samples, n_channels, n_timepoints), or list of \
arrays of shape (n_channels, n_timepoints_i), or None
        Series, as a list where the lengths of a part differ. They are float32 or float64, whichever
        holds the values of the file exactly. NaN is a missing value. Every set has an `X_train`.
    y_train, y_test, y_val : ndarray of shape (n_samples,), or None
        Codes 0, 1, ... (int64) of the sorted training labels in classification; targets (float64,
        of shape (n_samples, n_outputs) if there are several) in regression.
    groups_train, groups_test, groups_val : ndarray of shape (n_samples,), or None
        Engine, bearing, subject or recording of each series, where known.
    classes : ndarray of shape (n_classes,), or None
        Original label or name of each code.
    """

    name: str
    task: str
    X_train: Series
    y_train: ndarray | None = None
    X_test: Series | None = None
    y_test: ndarray | None = None
    X_val: Series | None = None
    y_val: ndarray | None = None
    groups_train: ndarray | None = None
    groups_test: ndarray | None = None
    groups_val: ndarray | None = None
    classes: ndarray | None = None

    def __repr__(self) -> str:
        panels = {
            "train": self.X_train,
            "val": self.X_val,
            "test": self.X_test,
        }
        shapes = [f"{part}={_shape(X)}" for part, X in panels.items() if X is not None]
        return f"Dataset({self.name!r}, {self.task}, {', '.join(shapes)})"


class Part(NamedTuple):
    """One part of a set as a reader found it."""

    X: Series
    y: ndarray | None = None
    groups: ndarray | None = None


class PartFile(NamedTuple):
    """Content of a file that holds one part.

    Attributes
    ----------
    part : Part
        Series and labels.
    task : str
        Task that the labels are for.
    names : list of str
        Names of the columns of time points or channels, empty if the file does not name them.
    """

    part: Part
    task: str
    names: Sequence[str] = ()


def assemble(
    name: str,
    task: str,
    parts: Mapping[str, Part],
    source: str | Path,
    *,
    names: ndarray | None = None,
) -> Dataset:
    """Check the parts against each other and make a :class:`Dataset` of them.

    Parameters
    ----------
    name, task : str
        As in :class:`Dataset`. For "pretraining" labels are dropped.
    parts : dict
        "train", and "val" and "test" where the set has them.
    source : str or path
        File or folder that error messages name.
    names : ndarray of shape (n_classes,), default=None
        Names of the labels, if the labels are 0, 1, ... already.

    Returns
    -------
    Dataset
        The checked parts.

    Raises
    ------
    ValueError
        If there are no training series, if series and labels differ in number, if parts differ in
        channels, or if a label does not occur in training.
    """
    if "train" not in parts:
        raise ValueError(f"{source} has no training series.")
    panels: dict[str, Series] = {}
    labels: dict[str, ndarray] = {}
    groups: dict[str, ndarray | None] = {}
    for part, content in parts.items():
        panel = _panel(content.X, f"{source}: X_{part}")
        _check_number(panel, f"y_{part}", content.y, source)
        _check_number(panel, f"groups_{part}", content.groups, source)
        panels[part] = panel
        groups[part] = content.groups
        if content.y is not None and task != "pretraining":
            labels[part] = content.y
    _check_channels(panels, source)
    if task != "pretraining" and "train" not in labels:
        raise ValueError(f"{source} has no training labels for {task}.")
    classes = None
    if task == "classification":
        labels, classes = _codes(labels, source)
        if names is not None:
            classes = _named(classes, names, source)
    elif task == "regression":
        labels = {part: _targets(y, f"{source}: y_{part}") for part, y in labels.items()}
    return Dataset(
        name,
        task,
        X_train=panels["train"],
        X_val=panels.get("val"),
        X_test=panels.get("test"),
        y_train=labels.get("train"),
        y_val=labels.get("val"),
        y_test=labels.get("test"),
        groups_train=groups["train"],
        groups_val=groups.get("val"),
        groups_test=groups.get("test"),
        classes=classes,
    )


def _shape(X: Series) -> str:
    if isinstance(X, ndarray):
        return str(X.shape)
    n_channels = X[0].shape[0]
    lengths = [series.shape[1] for series in X]
    return f"({len(X)}, {n_channels}, {min(lengths)}..{max(lengths)})"


def _panel(X: Series, place: str) -> Series:
    """Return series as floats, channels first."""
    panel = _list_panel(X, place) if isinstance(X, list) else _array_panel(X, place)
    if not len(panel):
        raise ValueError(f"{place} has no series.")
    return panel


def _list_panel(X: list[ndarray], place: str) -> Series:
    panel = [_numbers(series, place) for series in X]
    for series in panel:
        if series.ndim != 2 or not series.size:
            raise ValueError(
                f"{place} has a series of shape {series.shape}: each is channels by times."
            )
    return panel


def _array_panel(X: ndarray, place: str) -> Series:
    panel = _numbers(X, place)
    if panel.ndim == 2:
        panel = panel[:, np.newaxis]
    if panel.ndim != 3:
        raise ValueError(
            f"{place} has shape {panel.shape}: series are (n, n_channels, n_timepoints) or "
            "(n, n_timepoints)."
        )
    if len(panel) and not panel.size:
        raise ValueError(f"{place} has shape {panel.shape}: its series are empty.")
    return panel


def _numbers(values: ndarray, place: str) -> ndarray:
    """Return values as float32 where float32 is exact for their type, and else as float64."""
    values = np.asarray(values)
    if values.dtype.kind not in "fiub":
        raise ValueError(f"{place} holds {values.dtype} instead of numbers.")
    # series are rounded to float32 only after the estimator has centred them
    is_exact = np.can_cast(values.dtype, np.float32)
    return np.ascontiguousarray(values, dtype=np.float32 if is_exact else np.float64)


def _check_number(
    panel: Series,
    key: str,
    values: ndarray | None,
    source: str | Path,
) -> None:
    if values is None or len(values) == len(panel):
        return
    part = key.partition("_")[2]
    raise ValueError(
        f"{source}: X_{part} has {len(panel)} series, but {key} {len(values)} values: one of the "
        "two is cut short or belongs to another set."
    )


def _check_channels(panels: Mapping[str, Series], source: str | Path) -> None:
    first_part_of: dict[int, str] = {}
    for part, panel in panels.items():
        for series in panel:
            first_part_of.setdefault(len(series), part)
    if len(first_part_of) > 1:
        n_here, n_there, *_ = first_part_of
        here = first_part_of[n_here]
        there = first_part_of[n_there]
        raise ValueError(
            f"{source}: a series of X_{here} has {n_here} channels and one of X_{there} {n_there}, "
            "they must agree."
        )


def _codes(labels: Mapping[str, ndarray], source: str | Path) -> tuple[dict[str, ndarray], ndarray]:
    """Return labels as codes in the order of the sorted training labels, and these."""
    vectors = {part: _label_vector(y, f"{source}: y_{part}") for part, y in labels.items()}
    classes = np.unique(vectors["train"])
    codes = {}
    for part, y in vectors.items():
        unknown = np.setdiff1d(y, classes)
        if len(unknown):
            some_classes = map(str, classes[:20])
            known = ", ".join(some_classes)
            raise ValueError(
                f"{source}: label {unknown[0]} of y_{part} is not among the training labels "
                f"{known}: the parts belong to different sets, or training is cut short."
            )
        places = np.searchsorted(classes, y)
        codes[part] = places.astype(np.int64)
    return codes, classes


def _named(
    classes: ndarray,
    names: ndarray,
    source: str | Path,
) -> ndarray:
    are_codes = classes.dtype.kind in "iu"
    if not are_codes or not 0 <= classes[0] <= classes[-1] < len(names):
        raise ValueError(f"{source} names {len(names)} classes, but labels are {classes}.")
    named: ndarray = names[classes]
    return named


def _label_vector(labels: ndarray, place: str) -> ndarray:
    y: ndarray = _flattened(np.asarray(labels))
    if y.ndim != 1:
        raise ValueError(f"{place} has shape {y.shape}: give one label for each series.")
    if y.dtype.kind == "S":
        return np.char.decode(y, "utf-8")
    if y.dtype.kind != "f":
        return y
    if not np.isfinite(y).all():
        raise ValueError(f"{place} has missing labels.")
    is_whole = y == np.round(y)
    is_exact = np.abs(y) <= LARGEST_WHOLE
    if np.all(is_whole & is_exact):
        return y.astype(np.int64)
    return y


def _targets(y: ndarray, place: str) -> ndarray:
    targets = _numbers(y, place).astype(np.float64)
    if not np.isfinite(targets).all():
        raise ValueError(f"{place} has a target that is missing or infinite.")
    return _flattened(targets)


def _flattened(y: ndarray) -> ndarray:
    """Return a single column as a vector."""
    if y.ndim == 2 and y.shape[1] == 1:
        return y[:, 0]
    return y
