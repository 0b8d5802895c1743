"""Pretraining on one device or, with a process for each, on several."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from fei_sklearn._bridge.devices import Devices, resolve_devices
from fei_sklearn._bridge.processes import run_on_ranks
from fei_sklearn.data import Panel
from fei_sklearn.objectives.base import Objective
from fei_sklearn.training.checkpointing import RunFolder
from fei_sklearn.training.loop import TrainingResult, train
from fei_sklearn.training.options import TrainingOptions
from fei_sklearn.training.progress import EpochRecord, Watcher, copies

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class TrainingRun:
    """All that training takes but who follows it: what each process of a group is given."""

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

    def on_rank(self, watcher: Watcher | None) -> tuple[Arrays, list[EpochRecord], int]:
        """Train as one of several processes; arrays, because tensors do not leave a process."""
        options = self.options
        device = resolve_devices(options.n_devices, options.device.type).own
        torch.manual_seed(options.seed + int(os.environ["RANK"]))  # for a user's own encoder
        result = replace(self, options=replace(options, device=device))(watcher)
        weights = {name: value.numpy() for name, value in self.objective.state_dict().items()}
        return weights, result.history, result.best_epoch


def train_on(
    devices: Devices, run: TrainingRun, embedder: Any, watcher: Watcher
) -> tuple[list[EpochRecord], int]:
    """Train in place, in this process or in one for each device.

    Parameters
    ----------
    devices : Devices
        Where to train.
    run : TrainingRun
        What to train.
    embedder : FEIEmbedder
        Its parameters are read.
    watcher : Watcher
        Follows the run.

    Returns
    -------
    tuple of (list of dict, int)
        History and best epoch.

    Raises
    ------
    ValueError
        If the run cannot be spread over several devices.
    RuntimeError
        If one of the processes was killed.
    """
    _check(devices, run, embedder)
    if devices.count == 1 or devices.joined:
        result = run(watcher)
        return result.history, result.best_epoch
    follower = _Follower(watcher, run.objective)
    weights, history, best_epoch = run_on_ranks(
        run.on_rank,
        devices.count,
        n_threads=max(1, torch.get_num_threads() // devices.count),
        watcher=follower,
        remedy=_remedy(embedder),
    )
    run.objective.load_state_dict(_tensors(weights))
    run.objective.eval()
    follower.ended_at = best_epoch
    return history, best_epoch


class _Follower:
    """Passes on what is heard of a run in other processes, which give arrays for weights."""

    def __init__(self, watcher: Watcher, objective: nn.Module) -> None:
        self.watcher, self.objective = watcher, objective
        self.begin_epoch, self.end_epoch = watcher.begin_epoch, watcher.end_epoch
        self.ended_at: int | None = None

    def begin(self, best: Callable[[], tuple[Arrays, int]]) -> None:
        """Tell that the run begins."""

        def weights() -> tuple[dict[str, torch.Tensor], int]:
            if self.ended_at is not None:  # and with it the other processes
                return copies(self.objective), self.ended_at
            arrays, epoch = best()
            return _tensors(arrays), epoch

        self.watcher.begin(weights)


def _tensors(arrays: Arrays) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def _check(devices: Devices, run: TrainingRun, embedder: Any) -> None:
    """Raise a ValueError if a run cannot be spread over devices."""
    if devices.count == 1:
        return
    if not run.objective.mean_over_series:
        raise ValueError(
            f"objective={embedder.objective!r} compares the series of a batch with each other, "
            f"which are not on one device with n_devices={devices.count}: use n_devices=1."
        )
    if devices.joined and embedder.random_state is None:
        raise ValueError(
            f"n_devices={devices.count} in processes that were started together needs a "
            "random_state, got None: they have to draw the same numbers."
        )


def _remedy(embedder: Any) -> str:
    if embedder.checkpoint_dir is None:
        return "fit again; with a checkpoint_dir it would go on from its last state."
    folder = str(embedder.checkpoint_dir)
    return f"the state in checkpoint_dir={folder!r} is intact, fit again to go on from it."
