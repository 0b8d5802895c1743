"""Pretraining that goes on from chunk to chunk of a stream."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from fei_sklearn._bridge.pretraining import (
    Pretrained,
    Start,
    Weights,
    batch_size,
    pretrain,
    training_options,
)
from fei_sklearn.data import Panel
from fei_sklearn.objectives.base import PretrainingObjective
from fei_sklearn.training.loop import train
from fei_sklearn.training.progress import EpochRecord, Watcher

#: Before the names of the optimiser's moments, in the state of a stream.
MOMENTS = "moments."
#: How the names of the momentum copies' weights begin.
TARGET = "target_"


def pretrain_on(
    embedder: Any,
    panel: Panel,
    start: Start | None,
    state: Weights | None,
    seed: int,
    watcher: Watcher,
) -> tuple[Pretrained, Weights]:
    """Pretrain on a chunk for one epoch, under a constant learning rate and momentum.

    Parameters
    ----------
    embedder : FEIEmbedder
        Its parameters are read, nothing is written.
    panel : Panel
        Series of the chunk; all of them train.
    start : Start or None
        Weights to go on from; None draws them.
    state : dict of str to ndarray, or None
        What the last chunk left beside the weights; None for the first.
    seed : int
        Source of all randomness.
    watcher : Watcher
        Told of the epoch.

    Returns
    -------
    learnt : Pretrained
        Weights, with batch-norm statistics and biases of this chunk, and one record.
    state : dict of str to ndarray
        For the next chunk: the momentum copies' weights, and the optimiser's moments.

    Raises
    ------
    ValueError
        If the objective keeps more than its weights from step to step.
    """
    left: Weights = {}

    def train_on_chunk(
        embedder: Any,
        objective: PretrainingObjective,
        panel: Panel,
        device: torch.device,
        seeds: list[int],
        watcher: Watcher,
    ) -> tuple[list[EpochRecord], int]:
        if not objective.resumable:
            raise ValueError(
                f"{type(objective).__name__} keeps more than its weights from step to step, so it "
                "cannot be trained on a stream: use fit."
            )
        options = training_options(embedder, batch_size(embedder, len(panel)), device, seeds[0])
        options = replace(options, max_epochs=1, lr_decay=1.0, n_iter_no_change=None, endless=True)
        moments = None if state is None else _restore(objective, state)
        result = train(objective, panel, options, watcher=watcher, moments=moments)
        left.update({f"{MOMENTS}{k}": _array(v) for k, v in result.moments.items()})
        weights = objective.state_dict().items()
        left.update({k: _array(v) for k, v in weights if k.startswith(TARGET)})
        return result.history, result.best_epoch

    learnt = pretrain(embedder, panel, start, seed, watcher, trainer=train_on_chunk)
    return learnt, left


def _restore(objective: PretrainingObjective, state: Weights) -> dict[str, torch.Tensor]:
    """Give the momentum copies their weights, and return the optimiser's moments."""
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in state.items()}
    target = {k: v for k, v in tensors.items() if k.startswith(TARGET)}
    objective.load_state_dict(objective.state_dict() | target)
    moments = {k.removeprefix(MOMENTS): v for k, v in tensors.items() if k.startswith(MOMENTS)}
    return moments


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().copy()
