"""`evaluate`: a model, or the variants of a study, on labelled sets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fei_sklearn import datasets
from fei_sklearn._bridge.devices import resolve_device
from fei_sklearn._embedder import FEIEmbedder
from fei_sklearn.evaluation.cells import Evaluation, OnCell, OnFailure
from fei_sklearn.evaluation.choices import TASKS, check_choice
from fei_sklearn.evaluation.models import Model, find_model
from fei_sklearn.evaluation.pretraining import Corpus, study_variants
from fei_sklearn.evaluation.results import ResultRecord, ResultsFile
from fei_sklearn.evaluation.sets import Folder, Source, choose_sets
from fei_sklearn.evaluation.settings import Settings, resolve_settings


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
    labels: Sequence[int] | None = None,
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
        model only the readout's, `pooling`, `layers`, `views` and `n_components`, and
        `calibration`.
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
    labels : sequence of int, default=None
        Numbers of labels that the probe's head sees, one cell each: per class, or in all for
        targets. The seed draws the labelled series. A model that adapts to the panel does so on
        all training series, without labels. None gives the head all labels.
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
    all_settings = settings.per_labels(labels)
    _check_seeds(seeds)
    conditions = settings.conditions(str(resolve_device(device)), n_jobs)
    chosen = choose_sets(data, sets, task, label)
    if study is None:
        models: Sequence[Model] = [_single_model(model, pretrain_on, params)]
    else:
        _check_study(study, model, pretrain_on)
        models = _study_models(study, pretrain_on, data, settings, params, out)
    _check_encoders(models, protocol)
    set_options = settings.set_options(data, task)
    file = None if out is None else ResultsFile(out)
    evaluation = Evaluation(all_settings, conditions, set_options, file, on_cell, on_failure)
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


def _study_models(
    study: str,
    pretrain_on: Any,
    data: Folder | None,
    settings: Settings,
    params: dict[str, Any],
    out: str | os.PathLike[str] | None,
) -> Sequence[Model]:
    """Return the variants of a study, to be pretrained on given series or on a set."""
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
    corpus = Corpus(series, per_time_index=settings.per_time_index)
    return study_variants(study, corpus, params, _models_folder(out))


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
