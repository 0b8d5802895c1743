"""What every reader returns, and the checks that all of them share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

#: Series of one length, or a list of arrays (n_channels, length_i).
Series: TypeAlias = "np.ndarray | list[np.ndarray]"

TASKS = ("classification", "regression", "pretraining")


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A benchmark set in its parts.

    Attributes
    ----------
    name : str
        Name in the registry, or that of the file.
    task : {"classification", "regression", "pretraining"}
        What the labels are; a set for pretraining has none.
    X_train, X_test, X_val : ndarray of shape (n_samples, n_channels, n_timepoints), float32, \
or list of arrays of shape (n_channels, n_timepoints_i), or None
        Series, a list where the lengths of a part differ. NaN is a missing value. Only `X_train`
        is always there.
    y_train, y_test, y_val : ndarray of shape (n_samples,), or None
        Codes 0, 1, ... (int64) of the sorted training labels in classification, targets
        (float32, perhaps (n_samples, n_outputs)) in regression.
    groups_train, groups_test, groups_val : ndarray of shape (n_samples,), or None
        Engine, bearing, subject or recording of each series, where known.
    classes : ndarray of shape (n_classes,), or None
        Original label or name of each code.
    """

    name: str
    task: str
    X_train: Series
    y_train: np.ndarray | None = None
    X_test: Series | None = None
    y_test: np.ndarray | None = None
    X_val: Series | None = None
    y_val: np.ndarray | None = None
    groups_train: np.ndarray | None = None
    groups_test: np.ndarray | None = None
    groups_val: np.ndarray | None = None
    classes: np.ndarray | None = None

    def __repr__(self) -> str:
        parts = {"train": self.X_train, "val": self.X_val, "test": self.X_test}
        shapes = [f"{part}={_shape(X)}" for part, X in parts.items() if X is not None]
        return f"Dataset({self.name!r}, {self.task}, {', '.join(shapes)})"


class Part(NamedTuple):
    """One part of a set as a reader found it."""

    X: Any
    y: Any = None
    groups: Any = None


def assemble(
    name: str,
    task: str,
    parts: Mapping[str, Part],
    source: str | Path,
    *,
    names: np.ndarray | None = None,
) -> Dataset:
    """Check the parts against each other and make a :class:`Dataset` of them.

    Parameters
    ----------
    name, task : str
        As in :class:`Dataset`. For "pretraining" labels are dropped.
    parts : dict
        "train", and "val" and "test" where there are any.
    source : str or path
        File or folder that error messages name.
    names : ndarray of shape (n_classes,), default=None
        Names of the labels, if these are 0, 1, ... already.

    Raises
    ------
    ValueError
        If there are no training series, if series and labels differ in number, if parts differ in
        channels, or if a label does not occur in training.
    """
    if "train" not in parts:
        raise ValueError(f"{source} has no training series.")
    fields: dict[str, Any] = {}
    for part, (X, y, groups) in parts.items():
        fields[f"X_{part}"] = X = _panel(X, f"{source}: X_{part}")
        fields[f"y_{part}"] = None if task == "pretraining" else y
        fields[f"groups_{part}"] = groups
        for label, values in ("y", y), ("groups", groups):
            if values is not None and len(values) != len(X):
                raise ValueError(
                    f"{source}: X_{part} has {len(X)} series, but {label}_{part} {len(values)} "
                    "values: one of the two is cut short or belongs to another set."
                )
    _check_channels(fields, source)
    labels = {key: y for key, y in fields.items() if key.startswith("y_") and y is not None}
    if task != "pretraining" and "y_train" not in labels:
        raise ValueError(f"{source} has no training labels for {task}.")
    if task == "classification":
        fields.update(_codes(labels, source, names))
    elif task == "regression":
        fields.update({key: _targets(y, f"{source}: {key}") for key, y in labels.items()})
    return Dataset(name, task, **fields)


def _shape(X: Series) -> str:
    if isinstance(X, np.ndarray):
        return str(X.shape)
    lengths = [series.shape[1] for series in X]
    return f"({len(X)}, {X[0].shape[0]}, {min(lengths)}..{max(lengths)})"


def _panel(X: Any, what: str) -> Series:
    """Series as float32, channels first."""
    if isinstance(X, list):
        panel: Series = [_numbers(series, what) for series in X]
        wrong = [series.shape for series in panel if series.ndim != 2 or not series.size]
        if wrong:
            raise ValueError(f"{what} has a series of shape {wrong[0]}: each is channels by times.")
    else:
        panel = _numbers(X, what)
        if panel.ndim == 2:
            panel = panel[:, np.newaxis]
        if panel.ndim != 3:
            raise ValueError(
                f"{what} has shape {panel.shape}: series are (n, n_channels, n_timepoints) or "
                "(n, n_timepoints)."
            )
        if len(panel) and not panel.size:
            raise ValueError(f"{what} has shape {panel.shape}: its series are empty.")
    if not len(panel):
        raise ValueError(f"{what} has no series.")
    return panel


def _numbers(values: Any, what: str) -> np.ndarray:
    values = np.asarray(values)
    if values.dtype.kind not in "fiub":
        raise ValueError(f"{what} holds {values.dtype} instead of numbers.")
    return np.ascontiguousarray(values, dtype=np.float32)


def _check_channels(fields: Mapping[str, Any], source: str | Path) -> None:
    counts: dict[int, str] = {}
    for key, X in fields.items():
        if key.startswith("X_"):
            for series in X:
                counts.setdefault(len(series), key)
    if len(counts) > 1:
        (first, here), (second, there) = list(counts.items())[:2]
        raise ValueError(
            f"{source}: a series of {here} has {first} channels and one of {there} {second}, "
            "they must agree."
        )


def _codes(
    labels: Mapping[str, Any], source: str | Path, names: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Labels as codes in the order of the sorted training labels."""
    flat = {key: _label_vector(y, f"{source}: {key}") for key, y in labels.items()}
    classes = np.unique(flat["y_train"])
    codes = {}
    for key, y in flat.items():
        unknown = np.setdiff1d(y, classes)
        if len(unknown):
            raise ValueError(
                f"{source}: label {unknown[0]} of {key} is not among the training labels "
                f"{', '.join(map(str, classes[:20]))}: the parts belong to different sets, or "
                "training is cut short."
            )
        codes[key] = np.searchsorted(classes, y).astype(np.int64)
    if names is not None:
        if classes.dtype.kind not in "iu" or classes[0] < 0 or classes[-1] >= len(names):
            raise ValueError(f"{source} names {len(names)} classes, but labels are {classes}.")
        classes = names[classes]
    codes["classes"] = classes
    return codes


def _label_vector(labels: Any, what: str) -> np.ndarray:
    y: np.ndarray = np.asarray(labels)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(f"{what} has shape {y.shape}: give one label for each series.")
    if y.dtype.kind == "f":
        if not np.isfinite(y).all():
            raise ValueError(f"{what} has missing labels.")
        if (y == np.round(y)).all():
            y = y.astype(np.int64)
    return y


def _targets(y: Any, what: str) -> np.ndarray:
    targets = _numbers(y, what)
    if not np.isfinite(targets).all():
        raise ValueError(f"{what} has a target that is missing or infinite.")
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    return targets
