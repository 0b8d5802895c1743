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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from fei_sklearn.checkpointing import Checkpoints, State
from fei_sklearn.data import (
    Batch,
    Panel,
    batches_on,
    n_batches,
    shuffled_batches,
    validation_batches,
)
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
    checkpoints: Checkpoints | None = None,
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
    run.resume()
    if watcher is not None:
        watcher.begin(run.best)
    with _memory_of_the_device(options.batch_size, len(panel)):
        for epoch in range(options.max_epochs):
            if watcher is not None:
                watcher.begin_epoch()
            known = epoch < len(run.history)
            record = run.history[epoch] if known else run.run_epoch(epoch)
            asked_to_stop = watcher is not None and watcher.end_epoch(record)
            is_last = epoch + 1 == len(run.history)
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


class _Mean:
    """Mean of the losses over the series, on the device until it is asked for."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.total: Tensor | None = None
        self.n_samples = 0

    def add(self, losses: Any, n_samples: int) -> None:
        self.names = list(losses._fields)
        weighted = n_samples * torch.stack(list(losses)).detach()
        self.total = weighted if self.total is None else self.total + weighted
        self.n_samples += n_samples

    def record(self, prefix: str) -> Record:
        assert self.total is not None
        means = (self.total / self.n_samples).tolist()  # the one sync with the device
        return {f"{prefix}_{name}": mean for name, mean in zip(self.names, means, strict=True)}


#: What of a run's state is plain: counters, records and times.
PLAIN = ("step", "epoch_step", "seconds", "history", "best_epoch", "best_loss")


class _Run:
    """State of a run: engine, optimiser, generators, the best weights so far."""

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
        optimizer = torch.optim.AdamW(_parameter_groups(objective), lr=options.learning_rate)
        self.module, self.optimizer = self.fabric.setup(objective, optimizer)
        self.order = torch.Generator().manual_seed(options.seed)
        self.masks = torch.Generator(device).manual_seed(options.seed + 1)
        pass_steps = n_batches(len(panel), options.batch_size)
        self.n_passes = math.ceil(options.min_epoch_steps / pass_steps)
        self.n_steps, self.step = options.max_epochs * self.n_passes * pass_steps, 0
        self.history: list[Record] = []
        self.best_epoch, self.best_loss = 0, math.inf
        self.best_weights: dict[str, Tensor] = {}
        self.checkpoints, self.finished = checkpoints, False
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Forget the last epoch's losses, and note from where the next one's order is drawn."""
        self.mean, self.epoch_step, self.seconds = _Mean(), 0, 0.0
        self.order_at_begin = self.order.get_state()

    def epoch_rows(self) -> Iterator[np.ndarray]:
        """Rows of each batch of an epoch."""
        for _ in range(self.n_passes):
            yield from shuffled_batches(len(self.panel), self.options.batch_size, self.order)

    def run_epoch(self, epoch: int) -> Record:
        """Train for one epoch, validate, and keep the weights if they are the best."""
        started = time.perf_counter() - self.seconds
        self.module.train()
        # of an epoch that another process has begun, its steps are drawn but not taken again
        for rows in islice(self.epoch_rows(), self.epoch_step, None):
            self.mean.add(self.train_step(self.batch(rows), epoch), len(rows))
            self.epoch_step += 1
            self.seconds = time.perf_counter() - started
            if self.checkpoints is not None and self.checkpoints.due():
                self.checkpoints.write(self.state())
        record: Record = {"epoch": epoch + 1} | self.mean.record("train") | self.validate()
        record["learning_rate"] = self.learning_rate(epoch, self.step - 1)
        record["momentum"] = self.momentum(self.step - 1)
        record["seconds"] = time.perf_counter() - started
        self.history.append(record)
        self.keep_if_best(record)
        self.begin_epoch()
        return record

    def train_step(self, batch: Batch, epoch: int) -> Any:
        """One optimiser step and one update of the target."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(epoch, self.step)
        losses = self.module(*batch, generator=self.masks)
        self.optimizer.zero_grad()
        self.fabric.backward(losses.loss)
        self.clip_gradients()
        self.optimizer.step()
        self.objective.update_target(self.momentum(self.step))  # type: ignore[operator]
        self.step += 1
        return losses

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
            mean.add(self.module(*self.validation_batch(rows), generator=masks), len(rows))
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
        if self.checkpoints is not None and not self.finished:
            outcome = {"finished": True, "history": self.history, "best_epoch": self.best_epoch}
            weights = {f"weights.{k}": v for k, v in self.objective.state_dict().items()}
            self.checkpoints.finish(State(outcome, weights))
        return TrainingResult(self.history, self.best_epoch)

    def state(self) -> State:
        """All that decides how the run goes on from here."""
        plain = {name: getattr(self, name) for name in PLAIN}
        state = State(plain | {"names": self.mean.names, "n_samples": self.mean.n_samples})
        state.plain["precision"] = self.fabric.strategy.precision.state_dict()
        state.add("weights", self.objective.state_dict())
        state.add("best", self.best_weights)
        for index, moments in self.optimizer.state_dict()["state"].items():
            state.add(f"optimizer.{index}", moments)
        generators = {"order": self.order_at_begin, "masks": self.masks.get_state()}
        state.add("generators", generators | self.global_generators())
        assert self.mean.total is not None
        state.tensors["total"] = self.mean.total
        return state

    def global_generators(self) -> dict[str, Tensor]:
        """States of torch's global generators, where they are this run's own."""
        if self.checkpoints is None or not self.checkpoints.global_random_state:
            return {}
        states = {"cpu": torch.get_rng_state()}
        if self.options.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.options.device)
        return states

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
            self.finished = True
            self.history, self.best_epoch = state.plain["history"], state.plain["best_epoch"]
            return
        self.restore(state)

    def restore(self, state: State) -> None:
        """Take over all of a state but the weights."""
        device = self.options.device
        for name in PLAIN:
            setattr(self, name, state.plain[name])
        self.mean.names, self.mean.n_samples = state.plain["names"], state.plain["n_samples"]
        self.mean.total = state.tensors["total"].to(device)
        self.fabric.strategy.precision.load_state_dict(state.plain["precision"])
        self.best_weights = {k: v.to(device) for k, v in state.part("best").items()}
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in state.part("optimizer").items():
            index, key = name.split(".")
            moments.setdefault(int(index), {})[key] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        generators = state.part("generators")
        self.order_at_begin = generators["order"]
        self.order.set_state(self.order_at_begin)
        self.masks.set_state(generators["masks"])
        if "cpu" in generators:
            torch.set_rng_state(generators["cpu"])
        if "cuda" in generators:
            torch.cuda.set_rng_state(generators["cuda"], device)
