"""The one training loop, and the only file that knows the engine (Lightning Fabric).

What is trained is an :class:`fei_sklearn.objectives.base.Objective`.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from fei_sklearn.batch_statistics import shared_batch
from fei_sklearn.data import (
    Batch,
    Panel,
    batches_on,
    in_turn,
    n_batches,
    shuffled_batches,
    validation_batches,
)
from fei_sklearn.objectives.base import Objective
from fei_sklearn.training.checkpointing import RunFolder
from fei_sklearn.training.guards import memory_of_the_device, silenced, strides_may_differ
from fei_sklearn.training.options import TrainingOptions
from fei_sklearn.training.progress import (
    EpochRecord,
    Mean,
    Progress,
    Watcher,
    moments_of,
    set_moments,
)
from fei_sklearn.training.shares import BatchShare, Group, processes_here, shares_on, skip_masks

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["TrainingOptions", "TrainingResult", "train"]

#: How long processes wait for each other before they take one for lost.
PATIENCE = timedelta(minutes=10)


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

    history: list[EpochRecord]
    best_epoch: int
    moments: dict[str, Tensor]


def train(
    objective: Objective,
    panel: Panel,
    options: TrainingOptions,
    *,
    validation: Panel | None = None,
    watcher: Watcher | None = None,
    run_folder: RunFolder | None = None,
    moments: dict[str, Tensor] | None = None,
) -> TrainingResult:
    """Train an objective on a panel.

    Parameters
    ----------
    objective : Objective
        Trained in place; at the end it holds the best weights, in
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
    run_folder : RunFolder, default=None
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
    run = _Session(objective, panel, validation, options, run_folder)
    if moments is not None:
        set_moments(run.optimizer, moments)
    run.resume()
    watcher = watcher if run.is_first else None
    if watcher is not None:
        watcher.begin(partial(run.progress.best, objective))
    with memory_of_the_device(options.batch_size, len(panel)), strides_may_differ():
        for epoch in range(options.max_epochs):
            if watcher is not None:
                watcher.begin_epoch()
            known = epoch < len(run.progress.history)
            record = run.progress.history[epoch] if known else run.run_epoch(epoch)
            asked_to_stop = run.agreed(watcher is not None and watcher.end_epoch(record))
            is_last = epoch + 1 == len(run.progress.history)
            stale = run.progress.is_stale(options.n_iter_no_change)
            if is_last and (asked_to_stop or run.finished or stale):
                break
    return run.result()


def _engine(options: TrainingOptions) -> Fabric:
    """The engine, on one device or, joined with the processes of its group, on several."""
    from lightning_fabric import Fabric  # a quarter of a second, so only where one trains
    from lightning_fabric.strategies.ddp import DDPStrategy

    device, n_devices, precision = options.device, options.n_devices, cast(Any, options.precision)
    with silenced("lightning_fabric"):
        if n_devices == 1:
            where = 1 if device.index is None else [device.index]
            return Fabric(accelerator=device.type, devices=where, precision=precision)
        n_here = processes_here(n_devices)
        fabric = Fabric(
            accelerator=device.type,
            devices=n_here,
            num_nodes=n_devices // n_here,
            strategy=DDPStrategy(timeout=PATIENCE, **_without_buffers()),
            precision=precision,
        )
        fabric.launch()
    return fabric


def _without_buffers() -> dict[str, Any]:
    """Option by which buffers stay each process's own, as torch calls it now or did before 2.13.

    They are the same anyway, because statistics are those of the whole batch; and processes that
    validate on different batches must not wait for each other.
    """
    options = inspect.signature(nn.parallel.DistributedDataParallel).parameters
    return {next(o for o in ("forward_sync_buffers", "broadcast_buffers") if o in options): False}


def _parameter_groups(objective: Objective) -> list[dict[str, Any]]:
    """What AdamW trains: with its weight decay, and without where the objective asks for that."""
    undecayed = objective.undecayed()
    names = {id(parameter) for parameter in undecayed}
    decayed = [p for p in objective.parameters() if p.requires_grad and id(p) not in names]
    without = [{"params": undecayed, "weight_decay": 0.0}] if undecayed else []
    return [{"params": decayed}, *without]


class _Session:
    """A run: engine, optimiser, and how far it has come."""

    def __init__(
        self,
        objective: Objective,
        panel: Panel,
        validation: Panel | None,
        options: TrainingOptions,
        run_folder: RunFolder | None = None,
    ) -> None:
        self.options, self.objective = options, objective
        self.panel, self.validation, device = panel, validation, options.device
        self.fabric = _engine(options)
        rank, size = self.fabric.global_rank, options.n_devices
        self.group, self.is_first = Group(rank, size) if size > 1 else None, rank == 0
        self.batch: Callable[[np.ndarray], Batch | BatchShare] = (
            shares_on(panel, device, self.group) if self.group else batches_on(panel, device)
        )
        if validation is not None:
            self.validation_batch = batches_on(validation, device)
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
        self.run_folder, self.finished = run_folder, False

    def agreed(self, value: Any) -> Any:
        """What the group's first process has for a value."""
        return value if self.group is None else self.fabric.broadcast(value)

    def resume(self) -> None:
        """Go on from where an earlier process was, if it left a state."""
        if self.run_folder is None:
            return
        if not self.objective.resumable:
            raise ValueError(
                f"{type(self.objective).__name__} keeps more than its weights from step to step, "
                "so its run cannot be resumed: use checkpoint_dir=None."
            )
        state = self.agreed(self.run_folder.read() if self.is_first else None)
        if state is None:
            return
        self.objective.load_state_dict(state.section("weights"))
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

    def run_epoch(self, epoch: int) -> EpochRecord:
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
        record: EpochRecord = {"epoch": epoch + 1} | progress.mean.record("train") | self.validate()
        record["learning_rate"] = self.options.rate_at(epoch, progress.step - 1, self.n_steps)
        record["momentum"] = self.options.momentum_at(progress.step - 1, self.n_steps)
        record["seconds"] = time.perf_counter() - started
        record = self.agreed(record)
        progress.history.append(record)
        self.keep_if_best(record)
        progress.begin_epoch()
        return record

    def train_step(self, batch: Batch | BatchShare, epoch: int) -> Any:
        """One optimiser step and one update of the target."""
        step = self.progress.step
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.rate_at(epoch, step, self.n_steps)
        losses, loss = self.forward(batch)
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        self.clip_gradients()
        self.optimizer.step()
        momentum = self.options.momentum_at(step, self.n_steps)
        self.objective.update_target(momentum)
        self.progress.step += 1
        return losses

    def forward(self, batch: Batch | BatchShare) -> tuple[Any, Tensor]:
        """Losses of a batch, and what this process has of the loss to go down."""
        if not isinstance(batch, BatchShare):
            losses = self.module(*batch, generator=self.progress.masks)
            return losses, losses.loss
        with self.fabric.autocast():  # as forward draws them, in float64 where that is asked for
            masks = batch.masks(self.objective, self.progress.masks)
        with nullcontext() if batch.slice is None else shared_batch():
            losses = self.module(*batch.batch, masks=masks)
        return batch.of_all(losses), batch.weight * losses.loss

    def write_state(self) -> None:
        """Keep the state of the run on disk, where it is time for it."""
        if self.run_folder is None or not self.is_first or not self.run_folder.due():
            return
        self.run_folder.write(
            self.progress.state(
                self.objective,
                self.optimizer,
                self.fabric.strategy.precision.state_dict(),
                global_random_state=self.run_folder.global_random_state,
            )
        )

    def clip_gradients(self) -> None:
        """Clip the norm of all gradients where the objective asks for it."""
        max_norm = self.objective.max_gradient_norm
        if max_norm is not None:
            self.fabric.clip_gradients(
                self.module, self.optimizer, max_norm=max_norm, error_if_nonfinite=False
            )

    @torch.no_grad()
    def validate(self) -> EpochRecord:
        """Losses on the validation series, under the same masks each time."""
        if self.validation is None:
            return {}
        self.module.eval()
        masks = torch.Generator(self.options.device).manual_seed(self.options.seed + 2)
        mean, group = Mean(self.progress.mean.names), self.group
        batches = validation_batches(len(self.validation), self.options.batch_size)
        for i, rows in enumerate(batches):
            if group is not None and i % group.size != group.rank:  # a batch is computed by one
                with self.fabric.autocast():
                    skip_masks(self.objective, self.validation, rows, masks)
                continue
            mean.add(self.module(*self.validation_batch(rows), generator=masks), len(rows))
        if group is not None:
            assert self.progress.mean.total is not None
            mean.gather(self.progress.mean.total)
        return mean.record("valid")

    def keep_if_best(self, record: EpochRecord) -> None:
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

    def result(self) -> TrainingResult:
        """Restore the best weights."""
        progress = self.progress
        if progress.best_weights:
            self.objective.load_state_dict(progress.best_weights)
        for value in self.objective.state_dict().values() if self.group else ():
            torch.distributed.broadcast(value, 0)  # batch norm that is not ours has its own part's
        self.objective.to("cpu", torch.float32).eval()
        if self.run_folder is not None and self.is_first and not self.finished:
            self.run_folder.finish(progress.outcome(self.objective))
        return TrainingResult(progress.history, progress.best_epoch, moments_of(self.optimizer))
