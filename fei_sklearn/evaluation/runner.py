"""Evaluation of models on sets under a protocol, one cell after the other."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from fei_sklearn import __version__, datasets
from fei_sklearn._bridge.devices import resolve_device
from fei_sklearn._embedder import FEIEmbedder
from fei_sklearn.evaluation.choices import TASKS, check_choice
from fei_sklearn.evaluation.metrics import classification_metrics, regression_metrics
from fei_sklearn.evaluation.models import Conditions, Model, find_model
from fei_sklearn.evaluation.pretraining import Corpus, study_variants
from fei_sklearn.evaluation.protocols import Outcome, end_to_end, probe
from fei_sklearn.evaluation.results import RESULTS_FORMAT, ResultRecord, ResultsFile, cell_key
from fei_sklearn.evaluation.sets import (
    Folder,
    SetError,
    SetOptions,
    Source,
    Task,
    choose_sets,
    load_task,
)
from fei_sklearn.evaluation.settings import Settings, resolve_settings


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


def evaluate(
    model: str | os.PathLike[str] | FEIEmbedder | None = None,
    *,
    data: Folder | None = None,
    sets: Sequence[Source] | None = None,
    task: str | None = None,
    protocol: str = "probe",
    seeds: Sequence[int] = (0,),
    out: str | os.PathLike[str] | None = None,
    study: str | None = None,
    pretrain_on: Source | np.ndarray | Sequence[np.ndarray] | None = None,
    params: dict[str, Any] | None = None,
    head: str | None = None,
    standardise: str | None = None,
    readout: str | None = None,
    paper_protocol: bool | None = None,
    most: int | None = None,
    label: str | None = None,
    device: str = "auto",
    n_jobs: int | None = None,
    on_cell: OnCell | None = None,
    on_failure: OnFailure | None = None,
) -> list[ResultRecord]:
    """Evaluate a model, or the variants of a study, on labelled sets.

    Parameters
    ----------
    model : FEIEmbedder or str, default=None
        A fitted embedder, a folder, the name of a bundled model, "random" (an untrained encoder
        with calibrated batch norm), "raw" (the series themselves) or "minirocket". None for a
        study.
    data : path-like, default=None
        Folder of the sets.
    sets : sequence of str or Dataset, default=None
        Names, patterns such as ``"UCR:*"``, paths, or loaded sets. None takes all sets of `data`
        for the task.
    task : {"classification", "regression"}, default=None
        Leave out the sets of the other task.
    protocol : {"linear", "finetune", "probe"}, default="probe"
        The paper's linear evaluation or fine-tuning, with its hyper-parameters; or a head of
        scikit-learn, its penalty chosen on training folds.
    seeds : sequence of int, default=(0,)
        Seeds, one cell each per model and set.
    out : path-like, default=None
        Results file, which grows by a line as each cell ends. Cells in the file are not computed
        again.
    study : str, default=None
        A name in :data:`STUDIES`: each variant is pretrained once per seed and evaluated.
    pretrain_on : str, path-like, Dataset or array, default=None
        Series on which a study pretrains.
    params : dict, default=None
        Parameters of :class:`fei_sklearn.FEIEmbedder`: any for "random" and studies; for a trained
        model those of its readout, `pooling`, `layers` and `views`.
    head : {"logistic", "ridge"}, default=None
        Head of the probe for classes. None is "ridge" for minirocket, "logistic" elsewhere.
    standardise : {"time-index", "model"}, default=None
        Standardise the input per time index by the set's training part, as the paper does, or by
        the model's own scaling. None is "model" for the probe, "time-index" elsewhere.
    readout : {"paper", "model"}, default=None
        Embed by the mean over time of the last stage, as the paper does, or by the model's own
        readout. None is "paper" for linear evaluation and fine-tuning, unless `params` name a
        readout, and "model" elsewhere.
    paper_protocol : bool, default=None
        Cut the paper's sets as the paper does, see :func:`fei_sklearn.datasets.load_dataset`. None
        is False for the probe, True elsewhere.
    most : int, default=None
        Largest number of series of a set to train on, and to validate on; each class keeps its
        share. None takes all.
    label : str, default=None
        Column of the labels of tables, see :func:`fei_sklearn.datasets.load_dataset`.
    device, n_jobs
        As in :class:`fei_sklearn.FEIEmbedder`.
    on_cell : callable, default=None
        Called with a :class:`CellProgress` after each cell that is done.
    on_failure : callable, default=None
        Called with a name and an exception after each cell or set that fails; the other cells are
        computed nevertheless. None raises the exception.

    Returns
    -------
    list of dict
        A record for each cell that did not fail, see ``docs/evaluation.md``.

    Raises
    ------
    ValueError
        For bad arguments, or a results file that is damaged.
    FileNotFoundError
        If there is no such folder of sets.

    References
    ----------
    Fu and Hu, AAAI 2025, section "Experiments".
    """
    params = params or {}
    check_choice("task", task, (None, *TASKS))
    settings = resolve_settings(
        protocol=protocol,
        head=head,
        standardise=standardise,
        readout=readout,
        paper_protocol=paper_protocol,
        most=most,
        params=params,
        label=label,
    )
    _check_seeds(seeds)
    conditions = settings.conditions(str(resolve_device(device)), n_jobs)
    chosen = choose_sets(data, sets, task, label)
    if study is None:
        models: Sequence[Model] = [_single_model(model, pretrain_on, params)]
    else:
        _check_study(study, model, pretrain_on)
        corpus = _corpus(pretrain_on, data, settings)
        models = study_variants(study, corpus, params, _models_folder(out))
    _check_encoders(models, protocol)
    set_options = settings.set_options(data, task)
    file = None if out is None else ResultsFile(out)
    evaluation = _Evaluation(settings, conditions, set_options, file, on_cell, on_failure)
    return evaluation.run(chosen, models, seeds)


def _check_seeds(seeds: Sequence[int]) -> None:
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds must be different integers, at least one, got {list(seeds)}.")


def _single_model(
    model: str | os.PathLike[str] | FEIEmbedder | None,
    pretrain_on: object,
    params: dict[str, Any],
) -> Model:
    if pretrain_on is not None:
        raise ValueError("pretrain_on is for a study: name a study, or leave pretrain_on out.")
    if model is None:
        raise ValueError("Neither a model nor a study is given: give one of them.")
    return find_model(model, params)


def _check_study(study: str, model: object, pretrain_on: object) -> None:
    if model is not None:
        raise ValueError(f"The study {study!r} has models of its own: give no model.")
    if pretrain_on is None:
        raise ValueError(f"The study {study!r} pretrains its variants: set pretrain_on.")


def _corpus(pretrain_on: Any, data: Folder | None, settings: Settings) -> Corpus:
    series = pretrain_on
    if isinstance(series, str | os.PathLike):
        series = datasets.load_dataset(
            series,
            root=data,
            label=settings.label,
            paper_protocol=settings.paper_protocol,
        )
    if isinstance(series, datasets.Dataset):
        series = series.X_train
    return Corpus(series, per_time_index=settings.per_time_index)


def _models_folder(out: str | os.PathLike[str] | None) -> Path | None:
    """Return the folder of pretrained models beside a results file."""
    if out is None:
        return None
    path = Path(out)
    return path.with_name(f"{path.stem}_models")


def _check_encoders(models: Sequence[Model], protocol: str) -> None:
    if protocol == "probe":
        return
    for model in models:
        if not model.has_encoder:
            raise ValueError(f"{model.name!r} has no encoder to train: use protocol='probe'.")


class _Evaluation:
    """A run of an evaluation.

    Parameters
    ----------
    settings : Settings
        How cells are computed.
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
        settings: Settings,
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
        self.n_cells = len(sets) * len(models) * len(seeds)
        for name, source in sets.items():
            cells = []
            for model in models:
                for seed in seeds:
                    cells.append((model, self._key(name, model, seed)))
            self._evaluate_set(name, source, cells)
        return self.records

    def _evaluate_set(
        self,
        name: str,
        source: Source,
        cells: list[tuple[Model, ResultRecord]],
    ) -> None:
        """Evaluate the cells of a set, which is loaded only if a cell is missing."""
        task: Task | None = None
        set_failed = False
        for model, key in cells:
            self.n_done += 1
            known = self._known(key)
            if known is not None:
                self._report(known, is_new=False)
                continue
            if set_failed:
                continue
            try:
                if task is None:
                    task = load_task(source, self.set_options)
                record = self._evaluate_cell(model, task, key)
            except SetError as error:
                self._fail(name, error)
                set_failed = True
                continue
            except Exception as error:  # a bad cell must not end a night of others
                self._fail(f"{name}, {model.name}, seed {key['seed']}", error)
                continue
            if self.file is not None:
                self.file.add(record)
            self._report(record, is_new=True)

    def _key(self, name: str, model: Model, seed: int) -> ResultRecord:
        return {
            "format": RESULTS_FORMAT,
            "model": model.name,
            "fingerprint": model.fingerprint,
            "set": name,
            "protocol": self.settings.protocol,
            "seed": int(seed),
            "study": model.study,
            "variant": model.name if model.study else None,
            "settings": self.settings.as_record(model),
        }

    def _known(self, key: ResultRecord) -> ResultRecord | None:
        if self.file is None:
            return None
        return self.file.records.get(cell_key(key))

    def _evaluate_cell(self, model: Model, task: Task, key: ResultRecord) -> ResultRecord:
        seed = key["seed"]
        protocol = self.settings.protocol
        embedder = model.adapt(task.X_train, seed, self.conditions)
        if protocol == "probe":
            outcome = probe(task, embedder, self.settings.head_of(model), seed)
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
