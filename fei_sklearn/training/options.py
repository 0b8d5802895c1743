"""What a training run is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fei_sklearn.training.schedules import cosine_factor, decay_factor, momentum_at


@dataclass(frozen=True)
class TrainingOptions:
    """How long and how to train.

    Attributes
    ----------
    max_epochs : int
        Most epochs.
    min_epoch_steps : int
        Optimiser steps that an epoch has at least: a small panel is passed over several times.
    batch_size : int
        Series a step.
    learning_rate : float
        Peak learning rate of AdamW.
    lr_decay : float or "cosine"
        Factor on the learning rate after each epoch, or half a cosine over the run after a short
        warm-up.
    momentum : float
        Momentum of the target encoder at the start; it grows linearly to 1 over the run.
    n_iter_no_change : int or None
        Epochs without a better monitored loss after which to stop; None never stops early.
    device : torch.device
        Where to train.
    precision : str
        Lightning Fabric's name of the precision, such as "32-true".
    seed : int
        Seed of the order of the series and of the masks.
    n_devices : int, default=1
        Processes, one on each device, that share every batch. Each of them calls :func:`train` with
        the same arguments but for `device`, and has been told of the others as torchrun does.
    endless : bool, default=False
        Whether the run is a part of one whose end is not known: momentum then stays as it is.
    """

    max_epochs: int
    min_epoch_steps: int
    batch_size: int
    learning_rate: float
    lr_decay: float | str
    momentum: float
    n_iter_no_change: int | None
    device: torch.device
    precision: str
    seed: int
    n_devices: int = 1
    endless: bool = False

    def rate_at(self, epoch: int, step: int, n_steps: int) -> float:
        """Learning rate of a step, from 0, of an epoch, from 0, in a run of `n_steps`."""
        if isinstance(self.lr_decay, str):
            return self.learning_rate * cosine_factor(step, n_steps)
        return self.learning_rate * decay_factor(epoch, self.lr_decay)

    def momentum_at(self, step: int, n_steps: int) -> float:
        """Momentum of the target encoder after a step, from 0, in a run of `n_steps`."""
        return self.momentum if self.endless else momentum_at(step, n_steps, self.momentum)
