"""evaluate: models on sets under a protocol, cell by cell."""

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
from fei_sklearn.evaluation.metrics import classification_metrics, regression_metrics
from fei_sklearn.evaluation.models import READOUT, Conditions, Model, find_model
from fei_sklearn.evaluation.pretraining import Corpus, variants
from fei_sklearn.evaluation.protocols import HEADS, PROTOCOLS, Outcome, Task, end_to_end, probe
from fei_sklearn.evaluation.results import RESULTS_FORMAT, ResultRecord, ResultsFile, cell_key
from fei_sklearn.evaluation.sets import TASKS, SetError, choose_sets, load_task

STANDARDISE = ("time-index", "model")
READOUTS = ("paper", "model")

#: Heads of models that were published with another than logistic regression.
DEFAULT_HEADS = {"minirocket": "ridge"}


@dataclass(frozen=True)
class CellProgress:
    """What `on_cell` is told.

    Attributes
    ----------
    record : dict
        The cell's record.
    n_done, n_cells : int
        Cells done or failed so far, and all.
    is_new : bool
        Whether it was computed now, not found in the results file.
    """

    record: ResultRecord
    n_done: int
    n_cells: int
    is_new: bool


@dataclass(frozen=True)
class _Settings:
    """How the cells of a run are computed: all that changes a number, but the model."""

    protocol: str
    head: str | None
    standardise: str
    readout: str
    paper_protocol: bool
    most: int | None

    def of_record(self, model: Model) -> dict[str, Any]:
        """What the record of a cell says of it."""
        settings: dict[str, Any] = {
            "standardise": self.standardise,
            "readout": self.readout,
            "paper_protocol": self.paper_protocol,
        }
        if self.most is not None:
            settings["most"] = self.most
        if self.protocol != "probe":
            return settings
        return settings | {"head": self.head or DEFAULT_HEADS.get(model.name, "logistic")}


def evaluate(
    model: Any = None,
    *,
    data: str | os.PathLike[str] | None = None,
    sets: Sequence[Any] | None = None,
    task: str | None = None,
    protocol: str = "probe",
    seeds: Sequence[int] = (0,),
    out: str | os.PathLike[str] | None = None,
    study: str | None = None,
    pretrain_on: Any = None,
    params: dict[str, Any] | None = None,
    head: str | None = None,
    standardise: str | None = None,
    readout: str | None = None,
    paper_protocol: bool | None = None,
    most: int | None = None,
    device: str = "auto",
    n_jobs: int | None = None,
    on_cell: Callable[[CellProgress], None] | None = None,
    on_failure: Callable[[str, Exception], None] | None = None,
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
        Names or patterns such as "UCR:*", paths, or sets that are loaded already. None takes all
        that `data` has for the task.
    task : {"classification", "regression"}, default=None
        Leave out the sets of the other task.
    protocol : {"linear", "finetune", "probe"}, default="probe"
        The paper's linear evaluation or fine-tuning, with its hyper-parameters; or a head of
        scikit-learn, its penalty chosen on training folds.
    seeds : sequence of int, default=(0,)
        A cell each.
    out : path-like, default=None
        Results file, which grows by a line as each cell ends. Cells in it already are not computed
        again.
    study : str, default=None
        A name in :data:`STUDIES`: its variants are pretrained once a seed, and each is evaluated.
    pretrain_on : str, path-like, Dataset or array, default=None
        What a study pretrains on.
    params : dict, default=None
        Parameters of :class:`fei_sklearn.FEIEmbedder`: for "random" and studies any, for a trained
        model those of its readout: `pooling`, `layers` and `views`.
    head : {"logistic", "ridge"}, default=None
        Head of the probe for classes. None is "ridge" for minirocket, "logistic" elsewhere.
    standardise : {"time-index", "model"}, default=None
        Standardise the input per time index by the set's training part, as the paper does; or
        leave that to the model's own scaling. None is "model" for the probe, "time-index"
        elsewhere.
    readout : {"paper", "model"}, default=None
        Embeddings are the mean over time of the last stage, as in the paper; or what the model's
        parameters say. None is "paper" for linear evaluation and fine-tuning, unless `params` name
        a readout, and "model" elsewhere.
    paper_protocol : bool, default=None
        Cut the paper's sets as it did, see :func:`fei_sklearn.datasets.load_dataset`. None is
        False for the probe, True elsewhere.
    most : int, default=None
        Train on so many series of a set at most, and validate on as many; each class keeps its
        share. None takes all.
    device, n_jobs
        As in :class:`fei_sklearn.FEIEmbedder`.
    on_cell : callable, default=None
        Told of each cell that is done, by a :class:`CellProgress`.
    on_failure : callable, default=None
        Told of each cell or set that fails, by its name and the exception; the others go on. None
        raises.

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
    _check_choice("protocol", protocol, PROTOCOLS)
    _check_choice("task", task, (None, *TASKS))
    _check_choice("head", head, (None, *HEADS))
    _check_choice("standardise", standardise, (None, *STANDARDISE))
    _check_choice("readout", readout, (None, *READOUTS))
    if head is not None and protocol != "probe":
        raise ValueError(f"head={head!r} is for protocol='probe', not for {protocol!r}.")
    if len(set(seeds)) != len(seeds) or not seeds:
        raise ValueError(f"seeds must be different integers, at least one, got {list(seeds)}.")
    if most is not None and most < 2:
        raise ValueError(f"most must be at least 2 series, got {most}.")
    as_paper = protocol != "probe"
    own_readout = sorted({*READOUT} & {*(params or {})})
    if readout == "paper" and own_readout:
        raise ValueError(f"readout='paper' says what {own_readout[0]} is: set one of the two.")
    settings = _Settings(
        protocol,
        head,
        standardise or ("time-index" if as_paper else "model"),
        readout or ("paper" if as_paper and not own_readout else "model"),
        as_paper if paper_protocol is None else paper_protocol,
        most,
    )
    conditions = Conditions(
        str(resolve_device(device)),
        n_jobs,
        standardised=settings.standardise == "time-index",
        paper_readout=settings.readout == "paper",
    )
    chosen = choose_sets(data, sets, task)
    models = _models(model, study, pretrain_on, params or {}, data, settings, out)
    for each in models:
        if not each.has_encoder and protocol != "probe":
            raise ValueError(f"{each.name!r} has no encoder to train: use protocol='probe'.")
    run = _Evaluation(settings, conditions, task, ResultsFile(out) if out is not None else None)
    run.on_cell, run.on_failure = on_cell, on_failure
    run.n_cells = len(chosen) * len(models) * len(seeds)
    for name, source in chosen.items():
        run.evaluate_set(name, source, data, models, seeds)
    return run.records


def _check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {list(choices)}, got {value!r}.")


def _models(
    model: Any,
    study: str | None,
    pretrain_on: Any,
    params: dict[str, Any],
    data: Any,
    settings: _Settings,
    out: Any,
) -> Sequence[Model]:
    if study is None:
        if pretrain_on is not None:
            raise ValueError("pretrain_on is for a study: name one, or leave it out.")
        if model is None:
            raise ValueError("Neither a model nor a study is given: give one of them.")
        return [find_model(model, params)]
    if model is not None:
        raise ValueError(f"The study {study!r} has models of its own: give no model.")
    if pretrain_on is None:
        raise ValueError(f"The study {study!r} pretrains: say on what, with pretrain_on.")
    X = pretrain_on
    if isinstance(X, str | os.PathLike):
        X = datasets.load_dataset(X, root=data, paper_protocol=settings.paper_protocol)
    if isinstance(X, datasets.Dataset):
        X = X.X_train
    corpus = Corpus(X, per_time_index=settings.standardise == "time-index")
    folder = None if out is None else Path(out).with_name(f"{Path(out).stem}_models")
    return variants(study, corpus, params, folder)


class _Evaluation:
    """A run in progress."""

    on_cell: Callable[[CellProgress], None] | None = None
    on_failure: Callable[[str, Exception], None] | None = None

    def __init__(
        self,
        settings: _Settings,
        conditions: Conditions,
        task: str | None,
        file: ResultsFile | None,
    ) -> None:
        self.settings, self.conditions, self.task, self.file = settings, conditions, task, file
        self.records: list[ResultRecord] = []
        self.n_done = self.n_cells = 0

    def evaluate_set(
        self, name: str, source: Any, data: Any, models: Sequence[Model], seeds: Sequence[int]
    ) -> None:
        """All cells of a set, which is loaded only if one of them is still to be done."""
        cells = [(model, self._key(name, model, seed)) for model in models for seed in seeds]
        known = self.file.records if self.file is not None else {}
        loaded: Task | None = None
        is_bad = False
        for model, key in cells:
            self.n_done += 1
            found = known.get(cell_key(key))
            if found is not None:
                self._report(found, is_new=False)
            if found is not None or is_bad:
                continue
            where = f"{name}, {model.name}, seed {key['seed']}"
            try:
                if loaded is None:
                    loaded = load_task(
                        source,
                        data,
                        self.task,
                        paper_protocol=self.settings.paper_protocol,
                        per_time_index=self.settings.standardise == "time-index",
                        most=self.settings.most,
                    )
                record = self._evaluate_cell(model, loaded, key)
            except SetError as error:
                self._fail(name, error)
                is_bad = True
                continue
            except Exception as error:  # one bad cell must not cost a night of others
                self._fail(where, error)
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
            "settings": self.settings.of_record(model),
        }

    def _evaluate_cell(self, model: Model, task: Task, key: ResultRecord) -> ResultRecord:
        seed, protocol = key["seed"], self.settings.protocol
        embedder = model.adapt(task.X_train, seed, self.conditions)
        if protocol == "probe":
            outcome = probe(task, embedder, key["settings"]["head"], seed)
        else:
            outcome = end_to_end(task, embedder, protocol, seed, self.conditions)
        measure = classification_metrics if task.classes else regression_metrics
        return key | {
            "task": "classification" if task.classes else "regression",
            "metrics": measure(task.y_test, outcome.predicted),
            "counts": _counts(task, outcome),
            "seconds": {name: round(value, 4) for name, value in outcome.seconds.items()},
            "device": self.conditions.device,
            "versions": _versions(),
        }

    def _report(self, record: ResultRecord, *, is_new: bool) -> None:
        self.records.append(record)
        if self.on_cell is not None:
            self.on_cell(CellProgress(record, self.n_done, self.n_cells, is_new))

    def _fail(self, where: str, error: Exception) -> None:
        if self.on_failure is None:
            raise error
        self.on_failure(where, error)


def _counts(task: Task, outcome: Outcome) -> dict[str, int]:
    counts = {
        "train": outcome.n_train,
        "val": outcome.n_val,
        "test": len(task.y_test),
        "channels": task.X_train.shape[1],
        "timepoints": task.X_train.shape[2],
    }
    return counts | ({"classes": len(np.unique(task.y_train))} if task.classes else {})


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("torch", "scikit-learn", "numpy")}
    return {"fei_sklearn": __version__, "python": platform.python_version(), **packages}
