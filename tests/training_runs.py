"""Short training runs: objectives with scripted losses, panels, and options."""

from __future__ import annotations

from contextlib import contextmanager
from typing import NamedTuple
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from fei_sklearn.data import Panel
from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.objectives.base import Objective
from fei_sklearn.objectives.fei import FEIObjective
from fei_sklearn.training import TrainingOptions
from fei_sklearn.training.adamw import AdamW

CPU = torch.device("cpu")

N_TIMEPOINTS = 20


class ScriptedLosses(NamedTuple):
    loss: Tensor
    watched: Tensor


class ScriptedObjective(Objective):
    """Objective whose losses are given, and which records how it is used."""

    monitor = "watched"

    def __init__(self, validation=(), training=()):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.validation_losses = iter(validation)
        self.training_losses = iter(training)
        self.batches = []
        self.momenta = []
        self.validated_weights = []

    def forward(self, x, lengths=None, *, generator):
        if self.training:
            numbers = x[:, 0, 0].int()
            self.batches.append(numbers.tolist())
            factor = next(self.training_losses, 1.0)
        else:
            self.validated_weights.append(self.weight.item())
            factor = next(self.validation_losses)
        watched = torch.tensor(float(factor))
        return ScriptedLosses(self.weight * factor, watched)

    def update_target(self, momentum):
        self.momenta.append(momentum)


def options(**changes):
    """Return options of a short run on the CPU."""
    defaults = {
        "max_epochs": 3,
        "min_epoch_steps": 1,
        "batch_size": 512,
        "learning_rate": 0.01,
        "lr_decay": "cosine",
        "momentum": 0.9,
        "n_iter_no_change": None,
        "device": CPU,
        "precision": "32-true",
        "seed": 0,
    }
    return TrainingOptions(**(defaults | changes))


def numbered_panel(n_samples):
    """Return series whose values are their own number."""
    numbers = np.arange(n_samples, dtype=np.float32)
    values = np.tile(numbers[:, np.newaxis, np.newaxis], (1, 1, 4))
    return Panel(values)


def noise_panel(n_samples=24, n_channels=1, lengths=None):
    """Return white noise, zero behind the given lengths."""
    generator = np.random.default_rng(0)
    shape = (n_samples, n_channels, N_TIMEPOINTS)
    values = generator.normal(size=shape).astype(np.float32)
    if lengths is not None:
        time = np.arange(N_TIMEPOINTS)
        values *= time < lengths[:, np.newaxis, np.newaxis]
    return Panel(values, lengths)


def fei_objective(kind=FEIObjective, width=16):
    """Return an objective for the noise panel."""
    generator = torch.Generator().manual_seed(0)
    encoder = FEIEncoder(1, width, generator=generator)
    return kind(
        encoder,
        width=width,
        n_timepoints=N_TIMEPOINTS,
        generator=generator,
    )


@contextmanager
def recorded_learning_rates():
    """Yield a list to which each optimiser step adds its learning rate."""
    rates = []
    step = AdamW.step

    def recorded_step(optimizer):
        rates.append(optimizer.param_groups[0]["lr"])
        step(optimizer)

    with mock.patch.object(AdamW, "step", recorded_step):
        yield rates
