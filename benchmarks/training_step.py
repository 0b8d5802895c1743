"""A step of the training loop that `FEIEmbedder.fit` runs, to be timed by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch

from fei_sklearn._bridge.devices import resolve_precision
from fei_sklearn.data import Panel
from fei_sklearn.encoder.resnet import ENCODER_WIDTHS, FEIEncoder
from fei_sklearn.objectives.fei import FEIObjective
from fei_sklearn.training.loop import Session
from fei_sklearn.training.options import TrainingOptions

Step = Callable[[], None]


def our_step(size: str, x: np.ndarray, batch_size: int, device: str, precision: str) -> Step:
    """Set a training run up and return a function that takes one step of it."""
    generator = torch.Generator().manual_seed(0)
    width = ENCODER_WIDTHS[size]
    encoder = FEIEncoder(1, width, generator=generator)
    objective = FEIObjective(encoder, width=width, n_timepoints=x.shape[2], generator=generator)
    torch_device = torch.device(device)
    options = TrainingOptions(
        max_epochs=100,
        min_epoch_steps=1,
        batch_size=batch_size,
        learning_rate=2e-4,
        lr_decay=0.9,
        momentum=0.995,
        n_iter_no_change=None,
        device=torch_device,
        precision=resolve_precision(precision, torch_device),
        seed=0,
    )
    session = Session(objective, Panel(x), None, options)
    session.module.train()
    batches = forever(session.epoch_rows)

    def step() -> None:
        rows = next(batches)
        losses = session.train_step(session.batch(rows), 0)
        session.progress.losses.add(losses, len(rows))

    return step


def forever(begin: Callable[[], Iterable]) -> Iterator:
    """Yield the items of one pass after the other."""
    while True:
        yield from begin()
