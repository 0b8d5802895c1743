"""Cells of an evaluation, one after the other: a model on a set under settings and a seed."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import NamedTuple

import numpy as np

from fei_sklearn import __version__
from fei_sklearn.evaluation.metrics import classification_metrics, regression_metrics
from fei_sklearn.evaluation.models import Conditions, Model
from fei_sklearn.evaluation.protocols import Outcome, end_to_end, probe
from fei_sklearn.evaluation.results import (
    RESULTS_FORMAT,
    ResultRecord,
    ResultsFile,
    cell_key,
    cell_name,
)
from fei_sklearn.evaluation.sets import SetError, SetOptions, Source, Task, load_task
from fei_sklearn.evaluation.settings import Settings


@dataclass(frozen=True)
class CellProgress:
    """Argument of `on_cell`.

    Attributes
    ----------
    record : dict
        Record of the cell.
    n_done, n_cells : int
        Cells done or failed until now, and all cells.
    is_new : bool
        Whether the cell was computed now, not found in the results file.
    """

    record: ResultRecord
    n_done: int
    n_cells: int
    is_new: bool


OnCell = Callable[[CellProgress], None]
OnFailure = Callable[[str, Exception], None]


class _Cell(NamedTuple):
    """A model under settings, and the fields of its record that identify the cell."""

    model: Model
    settings: Settings
    key: ResultRecord


class Evaluation:
    """A run of an evaluation.

    Parameters
    ----------
    settings : sequence of Settings
        How cells are computed, one for each number of labels.
    conditions : Conditions
        Where models compute.
    set_options : SetOptions
        How sets are loaded.
    file : ResultsFile or None
        Results file, which has the cells of earlier runs.
    on_cell, on_failure : callable or None
        As in :func:`evaluate`.
    """

    def __init__(
        self,
        settings: Sequence[Settings],
        conditions: Conditions,
        set_options: SetOptions,
        file: ResultsFile | None,
        on_cell: OnCell | None,
        on_failure: OnFailure | None,
    ) -> None:
        self.settings = settings
        self.conditions = conditions
        self.set_options = set_options
        self.file = file
        self.on_cell = on_cell
        self.on_failure = on_failure
        self.records: list[ResultRecord] = []
        self.n_done = 0
        self.n_cells = 0

    def run(
        self,
        sets: dict[str, Source],
        models: Sequence[Model],
        seeds: Sequence[int],
    ) -> list[ResultRecord]:
        """Return the records of all cells that did not fail."""
        self.n_cells = len(sets) * len(models) * len(self.settings) * len(seeds)
        for name, source in sets.items():
            cells = []
            for model in models:
                for settings in self.settings:
                    for seed in seeds:
                        key = _key(name, model, settings, seed)
                        cells.append(_Cell(model, settings, key))
            self._evaluate_set(name, source, cells)
        return self.records

    def _evaluate_set(
        self,
        name: str,
        source: Source,
        cells: list[_Cell],
    ) -> None:
        """Evaluate the cells of a set, which is loaded only if a cell is missing."""
        task: Task | None = None
        set_failed = False
        for cell in cells:
            self.n_done += 1
            known = self._known(cell.key)
            if known is not None:
                self._report(known, is_new=False)
                continue
            if set_failed:
                continue
            try:
                if task is None:
                    task = load_task(source, self.set_options)
                record = self._evaluate_cell(cell, task)
            except SetError as error:
                self._fail(name, error)
                set_failed = True
                continue
            except Exception as error:  # a bad cell must not end a night of others
                self._fail(cell_name(cell.key), error)
                continue
            if self.file is not None:
                self.file.add(record)
            self._report(record, is_new=True)

    def _known(self, key: ResultRecord) -> ResultRecord | None:
        if self.file is None:
            return None
        return self.file.records.get(cell_key(key))

    def _evaluate_cell(self, cell: _Cell, task: Task) -> ResultRecord:
        model, settings, key = cell
        seed = key["seed"]
        protocol = settings.protocol
        embedder = model.adapt(task.X_train, seed, self.conditions)
        if protocol == "probe":
            head = settings.head_of(model)
            outcome = probe(task, embedder, head, seed, settings.n_labels)
        else:
            outcome = end_to_end(task, embedder, protocol, seed, self.conditions)
        if task.classes:
            name = "classification"
            metrics = classification_metrics(task.y_test, outcome.predicted)
        else:
            name = "regression"
            metrics = regression_metrics(task.y_test, outcome.predicted)
        seconds = {phase: round(value, 4) for phase, value in outcome.seconds.items()}
        return key | {
            "task": name,
            "metrics": metrics,
            "counts": _counts(task, outcome),
            "seconds": seconds,
            "device": self.conditions.device,
            "versions": _versions(),
        }

    def _report(self, record: ResultRecord, *, is_new: bool) -> None:
        self.records.append(record)
        if self.on_cell is None:
            return
        progress = CellProgress(record, self.n_done, self.n_cells, is_new)
        self.on_cell(progress)

    def _fail(self, where: str, error: Exception) -> None:
        if self.on_failure is None:
            raise error
        self.on_failure(where, error)


def _key(name: str, model: Model, settings: Settings, seed: int) -> ResultRecord:
    return {
        "format": RESULTS_FORMAT,
        "model": model.name,
        "fingerprint": model.fingerprint,
        "set": name,
        "protocol": settings.protocol,
        "seed": int(seed),
        "study": model.study,
        "variant": model.name if model.study else None,
        "settings": settings.as_record(model),
    }


def _counts(task: Task, outcome: Outcome) -> dict[str, int]:
    _, n_channels, n_timepoints = task.X_train.shape
    counts = {
        "train": outcome.n_train,
        "val": outcome.n_val,
        "test": len(task.y_test),
        "channels": n_channels,
        "timepoints": n_timepoints,
    }
    if task.classes:
        counts["classes"] = len(np.unique(task.y_train))
    return counts


def _versions() -> dict[str, str]:
    return {
        "fei_sklearn": __version__,
        "python": platform.python_version(),
        "torch": version("torch"),
        "scikit-learn": version("scikit-learn"),
        "numpy": version("numpy"),
    }
