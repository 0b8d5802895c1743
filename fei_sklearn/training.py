"""The one training loop, and the only file that knows the engine (Lightning Fabric).

An objective is a torch module whose forward gives its losses::

    objective(*batch, generator=...) -> NamedTuple of 0-dim tensors, one of them `loss`
    objective.monitor                -> name of the loss that early stopping watches
    objective.update_target(momentum)   after each optimiser step
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from fei_sklearn.data import Batch, Panel, n_batches, shuffled_batches, validation_batches
from fei_sklearn.schedules import cosine_factor, decay_factor, momentum_at

Record = dict[str, float]


#: Gives copies of the best weights so far, and their epoch, from 1.
Best = Callable[[], tuple[dict[str, Tensor], int]]


class Watcher(Protocol):
    """Whoever follows a run epoch by epoch."""

    def begin(self, best: Best) -> None:
        """Hear that the run begins, and how to get at its best weights."""

    def begin_epoch(self) -> None:
        """Hear that an epoch begins."""

    def end_epoch(self, record: Record) -> bool:
        """Hear what an epoch gave; True asks to stop."""


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


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves: the best weights are in the objective.

    Attributes
    ----------
    history : list of dict
        One record an epoch, of plain floats.
    best_epoch : int
        The epoch, counted from 1, whose weights were kept.
    """

    history: list[Record]
    best_epoch: int


def train(
    objective: nn.Module,
    panel: Panel,
    options: TrainingOptions,
    *,
    validation: Panel | None = None,
    watcher: Watcher | None = None,
) -> TrainingResult:
    """Train an objective on a panel.

    Parameters
    ----------
    objective : torch.nn.Module
        See the module's docstring. Trained in place; at the end it holds the best weights, in
        evaluation mode, on the CPU.
    panel : Panel
        Training series.
    options : TrainingOptions
        How long and how to train.
    validation : Panel, default=None
        Series that early stopping watches. None trains to the end and keeps the last weights.
    watcher : Watcher, default=None
        Told of the begin and the end of each epoch, at which it may stop the run.

    Returns
    -------
    TrainingResult
        History and best epoch.

    Raises
    ------
    ValueError
        If the loss is not finite any more.
    """
    run = _Run(objective, panel, validation, options)
    if watcher is not None:
        watcher.begin(run.best)
    for epoch in range(options.max_epochs):
        if watcher is not None:
            watcher.begin_epoch()
        record = run.run_epoch(epoch)
        asked_to_stop = watcher is not None and watcher.end_epoch(record)
        if asked_to_stop or run.should_stop():
            break
    return run.result()


@contextmanager
def _silenced(name: str) -> Iterator[None]:
    """Keep the announcements, but not the warnings, of a logger and its children off stderr."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


class _Mean:
    """Mean of the losses over the series, on the device until it is asked for."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self.total: Tensor | None = None
        self.n_samples = 0

    def add(self, losses: Any, n_samples: int) -> None:
        self.names = losses._fields
        weighted = n_samples * torch.stack(list(losses)).detach()
        self.total = weighted if self.total is None else self.total + weighted
        self.n_samples += n_samples

    def record(self, prefix: str) -> Record:
        assert self.total is not None
        means = (self.total / self.n_samples).tolist()  # the one sync with the device
        return {f"{prefix}_{name}": mean for name, mean in zip(self.names, means, strict=True)}


class _Run:
    """State of a run: engine, optimiser, generators, the best weights so far."""

    def __init__(
        self,
        objective: nn.Module,
        panel: Panel,
        validation: Panel | None,
        options: TrainingOptions,
    ) -> None:
        from lightning_fabric import Fabric  # a quarter of a second, so only where one trains

        device = options.device
        self.options, self.objective = options, objective
        self.panel, self.validation = panel, validation
        with _silenced("lightning_fabric"):
            self.fabric = Fabric(
                accelerator=device.type,
                devices=1 if device.index is None else [device.index],
                precision=options.precision,  # type: ignore[arg-type]
            )
        trained = [p for p in objective.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=options.learning_rate)
        self.module, self.optimizer = self.fabric.setup(objective, optimizer)
        self.order = torch.Generator().manual_seed(options.seed)
        self.masks = torch.Generator(device).manual_seed(options.seed + 1)
        pass_steps = n_batches(len(panel), options.batch_size)
        self.n_passes = math.ceil(options.min_epoch_steps / pass_steps)
        self.n_steps, self.step = options.max_epochs * self.n_passes * pass_steps, 0
        self.history: list[Record] = []
        self.best_epoch, self.best_loss = 0, math.inf
        self.best_weights: dict[str, Tensor] = {}

    def run_epoch(self, epoch: int) -> Record:
        """Train for one epoch, validate, and keep the weights if they are the best."""
        started = time.perf_counter()
        mean = _Mean()
        self.module.train()
        for _ in range(self.n_passes):
            for rows in shuffled_batches(len(self.panel), self.options.batch_size, self.order):
                batch = self.panel.take(rows).batch(self.options.device)
                mean.add(self.train_step(batch, epoch), len(rows))
        record: Record = {"epoch": epoch + 1} | mean.record("train") | self.validate()
        record["learning_rate"] = self.optimizer.param_groups[0]["lr"]
        record["momentum"] = self.momentum(self.step - 1)
        record["seconds"] = time.perf_counter() - started
        self.history.append(record)
        self.keep_if_best(record)
        return record

    def train_step(self, batch: Batch, epoch: int) -> Any:
        """One optimiser step and one update of the target."""
        learning_rate = self.options.learning_rate * self.learning_rate_factor(epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        losses = self.module(*batch, generator=self.masks)
        self.optimizer.zero_grad()
        self.fabric.backward(losses.loss)
        self.optimizer.step()
        self.objective.update_target(self.momentum(self.step))  # type: ignore[operator]
        self.step += 1
        return losses

    def learning_rate_factor(self, epoch: int) -> float:
        decay = self.options.lr_decay
        if isinstance(decay, str):
            return cosine_factor(self.step, self.n_steps)
        return decay_factor(epoch, decay)

    def momentum(self, step: int) -> float:
        return momentum_at(step, self.n_steps, self.options.momentum)

    @torch.no_grad()
    def validate(self) -> Record:
        """Losses on the validation series, under the same masks each time."""
        if self.validation is None:
            return {}
        self.module.eval()
        masks = torch.Generator(self.options.device).manual_seed(self.options.seed + 2)
        mean = _Mean()
        for rows in validation_batches(len(self.validation), self.options.batch_size):
            batch = self.validation.take(rows).batch(self.options.device)
            mean.add(self.module(*batch, generator=masks), len(rows))
        return mean.record("valid")

    def keep_if_best(self, record: Record) -> None:
        """Copy the weights where the monitored loss is the least so far, or there is none."""
        for name in ("train_loss", "valid_loss"):
            if not math.isfinite(record.get(name, 0.0)):
                raise ValueError(
                    f"The loss ({name}) became {record[name]} in epoch {len(self.history)}: lower "
                    f"learning_rate (now {self.options.learning_rate:g}), or look for extreme "
                    "values in X."
                )
        loss = record.get(f"valid_{self.objective.monitor}", -math.inf)
        if loss < self.best_loss or self.validation is None:
            self.best_epoch, self.best_loss = len(self.history), loss
            if self.validation is not None:
                self.best_weights = self.weights()

    def weights(self) -> dict[str, Tensor]:
        """Copies of the weights as they are."""
        return {name: value.clone() for name, value in self.objective.state_dict().items()}

    def best(self) -> tuple[dict[str, Tensor], int]:
        """The weights that the run would leave if it stopped now, and their epoch."""
        return self.best_weights or self.weights(), self.best_epoch

    def should_stop(self) -> bool:
        """Whether the monitored loss has not improved for `n_iter_no_change` epochs."""
        patience = self.options.n_iter_no_change
        return patience is not None and len(self.history) - self.best_epoch >= patience

    def result(self) -> TrainingResult:
        """Restore the best weights."""
        if self.best_weights:
            self.objective.load_state_dict(self.best_weights)
        self.objective.to("cpu", torch.float32).eval()
        return TrainingResult(self.history, self.best_epoch)
