"""A step of the training loop that `FEIEmbedder.fit` runs, to be timed by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch

from fei_sklearn._bridge.devices import resolve_precision
from fei_sklearn.data import Panel
from fei_sklearn.encoder.dilated import DilatedEncoder
from fei_sklearn.encoder.resnet import ENCODER_WIDTHS, FEIEncoder
from fei_sklearn.masking import MaskKind
from fei_sklearn.objectives.fei import FEIObjective
from fei_sklearn.training.loop import Session
from fei_sklearn.training.options import TrainingOptions

Step = Callable[[], None]


def our_step(size: str, x: np.ndarray, batch_size: int, device: str, precision: str) -> Step:
    """Set a training run up on series of one length, and return a function for one step of it."""
    return step_on(Panel(x), size, batch_size, device, precision)


def step_on(
    panel: Panel,
    size: str,
    batch_size: int,
    device: str,
    precision: str,
    mask_kind: MaskKind = "discrete",
) -> Step:
    """Set a training run up on a panel, and return a function for one step of it."""
    generator = torch.Generator().manual_seed(0)
    encoder = _encoder(size, generator)
    objective = FEIObjective(
        encoder,
        width=encoder.width,
        n_timepoints=panel.max_length,
        mask_kind=mask_kind,
        generator=generator,
    )
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
    session = Session(objective, panel, None, options)
    session.module.train()
    batches = forever(session.epoch_rows)

    def step() -> None:
        rows = next(batches)
        losses = session.train_step(session.batch(rows), 0)
        session.progress.losses.add(losses, len(rows))

    return step


def _encoder(size: str, generator: torch.Generator) -> FEIEncoder | DilatedEncoder:
    if size == "dilated":
        return DilatedEncoder(generator=generator)
    return FEIEncoder(1, ENCODER_WIDTHS[size], generator=generator)


def forever(begin: Callable[[], Iterable]) -> Iterator:
    """Yield the items of one pass after the other."""
    while True:
        yield from begin()
