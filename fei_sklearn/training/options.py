"""Options of a training run, and the seeds of its generators."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fei_sklearn.training.schedules import cosine_factor, decay_factor, momentum_at


@dataclass(frozen=True)
class Seeds:
    """Seeds of a run's generators.

    Attributes
    ----------
    order : int
        Seed of the order of the training series.
    masks : int
        Seed of the masks of the training series.
    validation_masks : int
        Seed of the masks of the validation series, which are the same in each epoch.
    """

    order: int
    masks: int
    validation_masks: int


@dataclass(frozen=True)
class TrainingOptions:
    """Options of a training run.

    Attributes
    ----------
    max_epochs : int
        Most epochs.
    min_epoch_steps : int
        Fewest optimiser steps of an epoch: an epoch passes over a small panel several times.
    batch_size : int
        Series per step.
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
        Device to train on.
    precision : str
        Lightning Fabric's name of the precision, such as "32-true".
    seed : int
        Seed from which :attr:`seeds` follow.
    n_devices : int, default=1
        Processes, one per device, that share every batch. Each process calls :func:`train` with
        the same arguments except `device`, under the environment variables of torchrun.
    endless : bool, default=False
        Whether the run is a section of one whose end is not known: momentum then stays constant.
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

    @property
    def seeds(self) -> Seeds:
        """Seeds of the run's generators."""
        return Seeds(
            order=self.seed,
            masks=self.seed + 1,
            validation_masks=self.seed + 2,
        )

    def rate_at(
        self,
        epoch: int,
        step: int,
        n_steps: int,
    ) -> float:
        """Return the learning rate of a step of a run.

        Parameters
        ----------
        epoch, step : int
            Epochs and optimiser steps done before this step, from 0.
        n_steps : int
            Steps of the whole run.
        """
        if isinstance(self.lr_decay, str):
            return self.learning_rate * cosine_factor(step, n_steps)
        return self.learning_rate * decay_factor(epoch, self.lr_decay)

    def momentum_at(self, step: int, n_steps: int) -> float:
        """Return the momentum of the target encoder after a step of a run.

        Parameters
        ----------
        step : int
            Optimiser steps done before this step, from 0.
        n_steps : int
            Steps of the whole run.
        """
        if self.endless:
            return self.momentum
        return momentum_at(step, n_steps, self.momentum)
