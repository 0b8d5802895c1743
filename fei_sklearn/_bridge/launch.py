"""Training runs on one device, or on several with a process for each."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from fei_sklearn._bridge.devices import Devices, resolve_devices
from fei_sklearn._bridge.processes import run_on_ranks
from fei_sklearn._bridge.spec import PretrainingSpec
from fei_sklearn._bridge.weight_names import Weights
from fei_sklearn.data import Panel
from fei_sklearn.objectives.base import Objective
from fei_sklearn.training.checkpointing import RunFolder
from fei_sklearn.training.loop import TrainingResult, train
from fei_sklearn.training.options import TrainingOptions
from fei_sklearn.training.progress import EpochRecord, Watcher, copies


@dataclass(frozen=True)
class TrainingRun:
    """Arguments of training except the watcher. Every process of a group gets a copy.

    Attributes
    ----------
    objective : Objective
        The objective, which is trained in place.
    panel : Panel
        Training series.
    options : TrainingOptions
        Options of the run.
    validation : Panel or None
        Series that early stopping watches.
    run_folder : RunFolder or None
        Folder of the run's state.
    """

    objective: Objective
    panel: Panel
    options: TrainingOptions
    validation: Panel | None
    run_folder: RunFolder | None

    def __call__(self, watcher: Watcher | None) -> TrainingResult:
        """Train in place."""
        return train(
            self.objective,
            self.panel,
            self.options,
            validation=self.validation,
            watcher=watcher,
            run_folder=self.run_folder,
        )

    def on_rank(self, watcher: Watcher | None) -> tuple[Weights, list[EpochRecord], int]:
        """Train as one of several processes, and return weights as arrays, records and best epoch.

        Tensors cannot be sent to another process.
        """
        options = self.options
        device = resolve_devices(options.n_devices, options.device.type).own
        torch.manual_seed(options.seed + int(os.environ["RANK"]))  # for a user's own encoder
        run = replace(self, options=replace(options, device=device))
        result = run(watcher)
        weights = {name: value.numpy() for name, value in self.objective.state_dict().items()}
        return weights, result.history, result.best_epoch


def train_on(
    devices: Devices, run: TrainingRun, spec: PretrainingSpec, watcher: Watcher
) -> tuple[list[EpochRecord], int]:
    """Train in place, in this process or in one process per device.

    Parameters
    ----------
    devices : Devices
        Where to train.
    run : TrainingRun
        The run.
    spec : PretrainingSpec
        The pretraining that the run is part of.
    watcher : Watcher
        Follows the run.

    Returns
    -------
    history : list of dict
        One record per epoch.
    best_epoch : int
        Epoch of the weights, from 1.

    Raises
    ------
    ValueError
        If several devices cannot share the run.
    RuntimeError
        If one of the processes was killed.
    """
    _check(devices, run, spec)
    if devices.count == 1 or devices.joined:
        result = run(watcher)
        return result.history, result.best_epoch
    follower = _Follower(watcher, run.objective)
    weights, history, best_epoch = run_on_ranks(
        run.on_rank,
        devices.count,
        n_threads=max(1, torch.get_num_threads() // devices.count),
        watcher=follower,
        remedy=_remedy(spec),
    )
    run.objective.load_state_dict(_tensors(weights))
    run.objective.eval()
    follower.ended_at = best_epoch
    return history, best_epoch


class _Follower:
    """Watcher in the calling process of a run in other processes, whose weights are arrays."""

    def __init__(self, watcher: Watcher, objective: nn.Module) -> None:
        self.watcher = watcher
        self.objective = objective
        self.ended_at: int | None = None

    def begin(self, best: Callable[[], tuple[Weights, int]]) -> None:
        """Pass on that the run begins, with a function that returns its best weights."""

        def best_tensors() -> tuple[dict[str, torch.Tensor], int]:
            if self.ended_at is not None:  # the processes have ended, and left their weights here
                return copies(self.objective), self.ended_at
            arrays, epoch = best()
            return _tensors(arrays), epoch

        self.watcher.begin(best_tensors)

    def begin_epoch(self) -> None:
        """Pass on that an epoch begins."""
        self.watcher.begin_epoch()

    def end_epoch(self, record: EpochRecord) -> bool:
        """Pass on the record of an epoch, and return whether to stop."""
        return self.watcher.end_epoch(record)


def _tensors(arrays: Weights) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def _check(devices: Devices, run: TrainingRun, spec: PretrainingSpec) -> None:
    """Raise a ValueError if several devices cannot share a run."""
    if devices.count == 1:
        return
    if not run.objective.mean_over_series:
        raise ValueError(
            f"objective={spec.objective!r} compares the series of a batch with each other, which "
            f"n_devices={devices.count} would put on different devices: use n_devices=1."
        )
    if devices.joined and not spec.is_repeatable:
        raise ValueError(
            f"n_devices={devices.count} in processes that were started together needs a "
            "random_state, got None: all of them must draw the same numbers."
        )


def _remedy(spec: PretrainingSpec) -> str:
    """Return advice for the error that a process of the run was killed."""
    if spec.checkpoint_dir is None:
        return "fit again; with a checkpoint_dir the next fit would resume from the last state."
    folder = str(spec.checkpoint_dir)
    return f"the state in checkpoint_dir={folder!r} is intact, fit again to resume from it."
