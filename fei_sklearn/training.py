"""The one training loop, and the only file that knows the engine (Lightning Fabric).

An objective is a torch module whose forward gives its losses::

    objective(*batch, generator=...) -> NamedTuple of 0-dim tensors, one of them `loss`
    objective.monitor                -> name of the loss that early stopping watches
    objective.update_target(momentum)   after each optimiser step

It may also have::

    objective.undecayed()            -> parameters that weight decay leaves alone
    objective.max_gradient_norm      -> norm at which gradients are clipped, or None
    objective.resumable              -> False if its state_dict is not all of its state
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fei_sklearn.checkpointing import Checkpoints
from fei_sklearn.data import (
    Batch,
    Panel,
    batches_on,
    in_turn,
    n_batches,
    shuffled_batches,
    validation_batches,
)
from fei_sklearn.progress import (
    Mean,
    Progress,
    Record,
    Watcher,
    copies,
    moments_of,
    set_moments,
)
from fei_sklearn.schedules import cosine_factor, decay_factor, momentum_at


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
    endless: bool = False


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves: the best weights are in the objective.

    Attributes
    ----------
    history : list of dict
        One record an epoch, of plain floats.
    best_epoch : int
        The epoch, counted from 1, whose weights were kept.
    moments : dict of str to Tensor
        What the optimiser kept after the last step, for a run that goes on.
    """

    history: list[Record]
    best_epoch: int
    moments: dict[str, Tensor]


def train(
    objective: nn.Module,
    panel: Panel,
    options: TrainingOptions,
    *,
    validation: Panel | None = None,
    watcher: Watcher | None = None,
    checkpoints: Checkpoints | None = None,
    moments: dict[str, Tensor] | None = None,
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
        Told of the begin and the end of each epoch, at which it may stop the run. Of epochs that an
        earlier process has trained it is told as well, one after the other.
    checkpoints : Checkpoints, default=None
        Where the run's state is written, and where it goes on from if there is one.
    moments : dict of str to Tensor, default=None
        Of an earlier run on the same parameters, to go on with; None begins without.

    Returns
    -------
    TrainingResult
        History and best epoch.

    Raises
    ------
    ValueError
        If the loss is not finite any more, a batch is too large for the device's memory, or a
        state cannot be written or read.
    """
    run = _Run(objective, panel, validation, options, checkpoints)
    if moments is not None:
        set_moments(run.optimizer, moments)
    run.resume()
    if watcher is not None:
        watcher.begin(run.best)
    with _memory_of_the_device(options.batch_size, len(panel)):
        for epoch in range(options.max_epochs):
            if watcher is not None:
                watcher.begin_epoch()
            known = epoch < len(run.progress.history)
            record = run.progress.history[epoch] if known else run.run_epoch(epoch)
            asked_to_stop = watcher is not None and watcher.end_epoch(record)
            is_last = epoch + 1 == len(run.progress.history)
            if is_last and (asked_to_stop or run.finished or run.should_stop()):
                break
    return run.result()


@contextmanager
def _memory_of_the_device(batch_size: int, n_samples: int) -> Iterator[None]:
    """Say in a sentence that the device's memory was too small for a batch."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        size = min(batch_size, n_samples)
        raise ValueError(
            f"The device has too little memory to train on batches of {size} series: try "
            f"batch_size={max(size // 2, 1)}, a smaller encoder, or shorter series."
        ) from error


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


def _parameter_groups(objective: nn.Module) -> list[dict[str, Any]]:
    """What AdamW trains: with its weight decay, and without where the objective asks for that."""
    undecayed = list(getattr(objective, "undecayed", list)())
    names = {id(parameter) for parameter in undecayed}
    decayed = [p for p in objective.parameters() if p.requires_grad and id(p) not in names]
    without = [{"params": undecayed, "weight_decay": 0.0}] if undecayed else []
    return [{"params": decayed}, *without]


class _Run:
    """A run: engine, optimiser, and how far it has come."""

    def __init__(
        self,
        objective: nn.Module,
        panel: Panel,
        validation: Panel | None,
        options: TrainingOptions,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        from lightning_fabric import Fabric  # a quarter of a second, so only where one trains

        device = options.device
        self.options, self.objective = options, objective
        self.panel, self.validation = panel, validation
        self.batch = batches_on(panel, device)
        if validation is not None:
            self.validation_batch = batches_on(validation, device)
        with _silenced("lightning_fabric"):
            self.fabric = Fabric(
                accelerator=device.type,
                devices=1 if device.index is None else [device.index],
                precision=options.precision,  # type: ignore[arg-type]
            )
        optimizer = torch.optim.AdamW(
            _parameter_groups(objective),
            lr=options.learning_rate,
            fused=device.type == "cpu",  # a third of the time; on CUDA it would refuse clipping
        )
        self.module, self.optimizer = self.fabric.setup(objective, optimizer)
        self.progress = Progress(options.seed, device)
        pass_steps = n_batches(len(panel), options.batch_size)
        self.n_passes = math.ceil(options.min_epoch_steps / pass_steps)
        self.n_steps = options.max_epochs * self.n_passes * pass_steps
        self.checkpoints, self.finished = checkpoints, False

    def resume(self) -> None:
        """Go on from where an earlier process was, if it left a state."""
        if self.checkpoints is None:
            return
        if not getattr(self.objective, "resumable", True):
            raise ValueError(
                f"{type(self.objective).__name__} keeps more than its weights from step to step, "
                "so its run cannot be resumed: use checkpoint_dir=None."
            )
        state = self.checkpoints.read()
        if state is None:
            return
        self.objective.load_state_dict(state.part("weights"))
        if state.plain.get("finished"):
            self.finished, self.progress.history = True, state.plain["history"]
            self.progress.best_epoch = state.plain["best_epoch"]
            return
        self.progress.restore(state, self.optimizer)
        self.fabric.strategy.precision.load_state_dict(state.plain["precision"])

    def epoch_rows(self) -> Iterator[np.ndarray]:
        """Rows of each batch of an epoch."""
        for _ in range(self.n_passes):
            order = self.progress.order
            yield from shuffled_batches(len(self.panel), self.options.batch_size, order)

    def run_epoch(self, epoch: int) -> Record:
        """Train for one epoch, validate, and keep the weights if they are the best."""
        progress = self.progress
        started = time.perf_counter() - progress.seconds
        self.module.train()
        # of an epoch that another process has begun, its steps are drawn but not taken again
        rows_to_come = islice(self.epoch_rows(), progress.epoch_step, None)
        with closing(in_turn(self.panel, self.batch, rows_to_come)) as batches:
            for rows, batch in batches:
                progress.mean.add(self.train_step(batch, epoch), len(rows))
                progress.epoch_step += 1
                progress.seconds = time.perf_counter() - started
                self.write_state()
        record: Record = {"epoch": epoch + 1} | progress.mean.record("train") | self.validate()
        record["learning_rate"] = self.learning_rate(epoch, progress.step - 1)
        record["momentum"] = self.momentum(progress.step - 1)
        record["seconds"] = time.perf_counter() - started
        progress.history.append(record)
        self.keep_if_best(record)
        progress.begin_epoch()
        return record

    def train_step(self, batch: Batch, epoch: int) -> Any:
        """One optimiser step and one update of the target."""
        step = self.progress.step
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(epoch, step)
        losses = self.module(*batch, generator=self.progress.masks)
        self.optimizer.zero_grad()
        self.fabric.backward(losses.loss)
        self.clip_gradients()
        self.optimizer.step()
        self.objective.update_target(self.momentum(step))  # type: ignore[operator]
        self.progress.step += 1
        return losses

    def write_state(self) -> None:
        """Keep the state of the run on disk, where it is time for it."""
        if self.checkpoints is None or not self.checkpoints.due():
            return
        self.checkpoints.write(
            self.progress.state(
                self.objective,
                self.optimizer,
                self.fabric.strategy.precision.state_dict(),
                global_random_state=self.checkpoints.global_random_state,
            )
        )

    def clip_gradients(self) -> None:
        """Clip the norm of all gradients where the objective asks for it."""
        max_norm = getattr(self.objective, "max_gradient_norm", None)
        if max_norm is not None:
            self.fabric.clip_gradients(
                self.module, self.optimizer, max_norm=max_norm, error_if_nonfinite=False
            )

    def learning_rate(self, epoch: int, step: int) -> float:
        decay = self.options.lr_decay
        if isinstance(decay, str):
            return self.options.learning_rate * cosine_factor(step, self.n_steps)
        return self.options.learning_rate * decay_factor(epoch, decay)

    def momentum(self, step: int) -> float:
        start = self.options.momentum
        return start if self.options.endless else momentum_at(step, self.n_steps, start)

    @torch.no_grad()
    def validate(self) -> Record:
        """Losses on the validation series, under the same masks each time."""
        if self.validation is None:
            return {}
        self.module.eval()
        masks = torch.Generator(self.options.device).manual_seed(self.options.seed + 2)
        mean = Mean()
        for rows in validation_batches(len(self.validation), self.options.batch_size):
            mean.add(self.module(*self.validation_batch(rows), generator=masks), len(rows))
        return mean.record("valid")

    def keep_if_best(self, record: Record) -> None:
        """Copy the weights where the monitored loss is the least so far, or there is none."""
        for name in ("train_loss", "valid_loss"):
            if not math.isfinite(record.get(name, 0.0)):
                raise ValueError(
                    f"The loss ({name}) became {record[name]} in epoch {record['epoch']}: lower "
                    f"learning_rate (now {self.options.learning_rate:g}), or look for extreme "
                    "values in X."
                )
        loss = record.get(f"valid_{self.objective.monitor}", -math.inf)
        if self.validation is None:
            self.progress.best_epoch = len(self.progress.history)
        elif loss < self.progress.best_loss:
            self.progress.keep(loss, self.objective)

    def best(self) -> tuple[dict[str, Tensor], int]:
        """The weights that the run would leave if it stopped now, and their epoch."""
        weights = self.progress.best_weights or copies(self.objective)
        return weights, self.progress.best_epoch

    def should_stop(self) -> bool:
        """Whether the monitored loss has not improved for `n_iter_no_change` epochs."""
        patience, progress = self.options.n_iter_no_change, self.progress
        return patience is not None and len(progress.history) - progress.best_epoch >= patience

    def result(self) -> TrainingResult:
        """Restore the best weights."""
        progress = self.progress
        if progress.best_weights:
            self.objective.load_state_dict(progress.best_weights)
        self.objective.to("cpu", torch.float32).eval()
        if self.checkpoints is not None and not self.finished:
            self.checkpoints.finish(progress.outcome(self.objective))
        return TrainingResult(progress.history, progress.best_epoch, moments_of(self.optimizer))
