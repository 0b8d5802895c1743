"""The training loop for any :class:`fei_sklearn.objectives.base.Objective`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from fei_sklearn._warnings import renamed_argument
from fei_sklearn.data import Batch, Panel
from fei_sklearn.encoder.batch_statistics import shared_batch
from fei_sklearn.objectives.base import Losses, Objective
from fei_sklearn.training.batches import (
    batches_on,
    check_padding,
    n_batches,
    read_in_order,
    shuffled_batches,
    validation_batches,
)
from fei_sklearn.training.checkpointing import RunFolder, RunState
from fei_sklearn.training.engine import engine_for, memory_explained, stride_warnings_ignored
from fei_sklearn.training.options import TrainingOptions
from fei_sklearn.training.progress import (
    EpochRecord,
    MeanLosses,
    Progress,
    Watcher,
    moments_of,
    set_moments,
)
from fei_sklearn.training.shares import BatchShare, Group, shares_on, skip_masks


@dataclass(frozen=True)
class TrainingResult:
    """Result of a run, whose best weights are in the objective.

    Attributes
    ----------
    history : list of dict
        One record per epoch, of plain floats.
    best_epoch : int
        Epoch, counted from 1, whose weights were kept.
    moments : dict of str to Tensor
        AdamW's state after the last step, with which a later run can go on.
    """

    history: list[EpochRecord]
    best_epoch: int
    moments: dict[str, Tensor]


@renamed_argument("checkpoints", "run_folder", removed_in="0.2")
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
        Module to train, changed in place. At the end it holds the best weights, in evaluation mode,
        on the CPU.
    panel : Panel
        Training series.
    options : TrainingOptions
        Options of the run.
    validation : Panel, default=None
        Series whose loss selects the best weights and stops the run early. Without them the run
        goes to its end and keeps the last weights.
    watcher : Watcher, default=None
        Called at the begin and the end of each epoch; it may stop the run. A resumed run also calls
        it for the epochs of earlier processes.
    run_folder : RunFolder, default=None
        Folder of the run's states. If it holds one, the run is resumed from there.
    moments : dict of str to Tensor, default=None
        AdamW's state after an earlier run on the same parameters, changed in place. None starts
        without.

    Returns
    -------
    TrainingResult
        History, best epoch and AdamW's state.

    Raises
    ------
    ValueError
        If the loss is no longer finite, a batch is too large for the device's memory, one long
        series would multiply the size of a batch, or a state cannot be written or read.
    """
    check_padding(panel, options.batch_size)
    if validation is not None:
        check_padding(validation, options.batch_size)
    run = Session(
        objective,
        panel,
        validation,
        options,
        run_folder=run_folder,
        watcher=watcher,
    )
    run.start_or_resume(moments)
    with (
        memory_explained(options.batch_size, len(panel)),
        stride_warnings_ignored(options.n_devices),
    ):
        for epoch in range(options.max_epochs):
            record = run.run_epoch(epoch)
            if run.should_stop(record):
                break
    return run.result()


class Session:
    """A run in this process.

    Parameters
    ----------
    objective : Objective
        Module to train, changed in place.
    panel : Panel
        Training series.
    validation : Panel or None
        Validation series.
    options : TrainingOptions
        Options of the run.
    run_folder : RunFolder, default=None
        Folder of the run's states. Only the first process of a group reads and writes there.
    watcher : Watcher, default=None
        Follower of the run. Only the first process of a group calls it.
    """

    def __init__(
        self,
        objective: Objective,
        panel: Panel,
        validation: Panel | None,
        options: TrainingOptions,
        run_folder: RunFolder | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self.objective = objective
        self.panel = panel
        self.validation = validation
        self.options = options
        self.engine = engine_for(options)
        self.may_be_resumed = run_folder is not None
        self.watcher: Watcher | None = None
        self.run_folder: RunFolder | None = None
        if self.engine.is_first:
            self.watcher = watcher
            self.run_folder = run_folder
        self.batch = _training_batches(panel, options.device, self.engine.group)
        if validation is not None:
            self.validation_batch = batches_on(validation, options.device)
        self.module, self.optimizer = self.engine.setup(objective, options)
        self.progress = Progress(options.seeds, options.device)
        n_pass_steps = n_batches(len(panel), options.batch_size)
        self.n_passes = math.ceil(options.min_epoch_steps / n_pass_steps)
        self.n_steps = options.max_epochs * self.n_passes * n_pass_steps
        self.was_finished = False  # by an earlier process
        self.has_ended = False

    def start_or_resume(self, moments: dict[str, Tensor] | None = None) -> None:
        """Start with AdamW's state of an earlier run, or resume from a state in the run's folder.

        Parameters
        ----------
        moments : dict of str to Tensor, default=None
            AdamW's state, which a state in the folder replaces.
        """
        if moments is not None:
            set_moments(self.optimizer, moments)
        if self.may_be_resumed:
            self._resume()
        if self.watcher is not None:
            best = partial(self.progress.best, self.objective)
            self.watcher.begin(best)

    def run_epoch(self, epoch: int) -> EpochRecord:
        """Return the record of an epoch, which is trained unless an earlier process did.

        Parameters
        ----------
        epoch : int
            Number of the epoch, from 0.
        """
        if self.watcher is not None:
            self.watcher.begin_epoch()
        history = self.progress.history
        if epoch < len(history):
            return history[epoch]
        return self.train_epoch(epoch)

    def should_stop(self, record: EpochRecord) -> bool:
        """Return whether the run ends with the epoch of this record."""
        asked_to_stop = False
        if self.watcher is not None:
            asked_to_stop = self.watcher.end_epoch(record)
        asked_to_stop = self.engine.from_first(asked_to_stop)
        if record["epoch"] < len(self.progress.history):
            return False
        is_last = record["epoch"] == self.options.max_epochs
        is_stale = self.progress.is_stale(self.options.n_iter_no_change)
        self.has_ended = self.was_finished or is_last or is_stale
        return asked_to_stop or self.has_ended

    def result(self) -> TrainingResult:
        """Restore the best weights, and return the result of the run."""
        progress = self.progress
        if not self.has_ended:
            self._write_state()  # the watcher stopped the run, which may go on without the watcher
        if progress.best_weights:
            self.objective.load_state_dict(progress.best_weights)
        # a user's batch norm has the statistics of its process's shares alone
        self.engine.copy_weights_from_first(self.objective)
        self.objective.to("cpu", torch.float32)
        self.objective.eval()
        if self.run_folder is not None and self.has_ended and not self.was_finished:
            outcome = progress.outcome(self.objective)
            self.run_folder.finish(outcome)
        return TrainingResult(
            history=progress.history,
            best_epoch=progress.best_epoch,
            moments=moments_of(self.optimizer),
        )

    def epoch_rows(self) -> Iterator[np.ndarray]:
        """Yield the rows of each batch of an epoch."""
        n_samples = len(self.panel)
        batch_size = self.options.batch_size
        for _ in range(self.n_passes):
            yield from shuffled_batches(n_samples, batch_size, self.progress.order)

    def train_epoch(self, epoch: int) -> EpochRecord:
        """Train for an epoch, validate, and keep the weights if they are the best.

        Parameters
        ----------
        epoch : int
            Number of the epoch, from 0.

        Returns
        -------
        dict of str to float
            Record of the epoch.
        """
        progress = self.progress
        started = time.perf_counter() - progress.seconds
        self.module.train()
        # the steps that an earlier process took in this epoch are drawn but not taken again
        rows_to_come = islice(self.epoch_rows(), progress.epoch_step, None)
        batches = read_in_order(self.panel, self.batch, rows_to_come)
        with closing(batches):
            for rows, batch in batches:
                losses = self.train_step(batch, epoch)
                progress.losses.add(losses, len(rows))
                progress.epoch_step += 1
                progress.seconds = time.perf_counter() - started
                self.write_state_if_due()
        last_step = progress.step - 1
        record: EpochRecord = {"epoch": epoch + 1}
        record |= progress.losses.record("train")
        record |= self.validate()
        record["learning_rate"] = self.options.rate_at(epoch, last_step, self.n_steps)
        record["momentum"] = self.options.momentum_at(last_step, self.n_steps)
        record["seconds"] = time.perf_counter() - started
        record = self.engine.from_first(record)
        progress.history.append(record)
        self._keep_if_best(record)
        progress.begin_epoch()
        return record

    def train_step(self, batch: Batch | BatchShare, epoch: int) -> Losses:
        """Take one optimiser step, and update the momentum copies.

        Parameters
        ----------
        batch : tuple or BatchShare
            Batch, or this process's share of it.
        epoch : int
            Number of the epoch, from 0.

        Returns
        -------
        NamedTuple of Tensor
            Losses of the whole batch, before the step.
        """
        step = self.progress.step
        learning_rate = self.options.rate_at(epoch, step, self.n_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        losses, loss = self._forward(batch)
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        max_norm = self.objective.max_gradient_norm
        if max_norm is not None:
            self.engine.clip_gradients(self.module, self.optimizer, max_norm)
        self.optimizer.step()
        momentum = self.options.momentum_at(step, self.n_steps)
        self.objective.update_target(momentum)
        self.progress.step += 1
        return losses

    def write_state_if_due(self) -> None:
        """Write the state of the run to its folder, if one is due."""
        if self.run_folder is not None and self.run_folder.due():
            self._write_state()

    def _write_state(self) -> None:
        if self.run_folder is None:
            return
        state = self.progress.state(
            self.objective,
            self.optimizer,
            self.engine.precision_state(),
            global_random_state=self.run_folder.global_random_state,
        )
        self.run_folder.write(state)

    @torch.no_grad()
    def validate(self) -> EpochRecord:
        """Return the losses on the validation series, under the same masks in each epoch."""
        if self.validation is None:
            return {}
        self.module.eval()
        options = self.options
        masks = torch.Generator(options.device)
        masks.manual_seed(options.seeds.validation_masks)
        group = self.engine.group
        mean = MeanLosses(self.progress.losses.names)
        batches = validation_batches(len(self.validation), options.batch_size)
        for number, rows in enumerate(batches):
            if group is not None and not group.computes(number):
                with self.engine.autocast():
                    skip_masks(self.objective, self.validation, rows, masks)
                continue
            batch = self.validation_batch(rows)
            losses: Losses = self.module(*batch, generator=masks)
            mean.add(losses, len(rows))
        if group is not None:
            mean.gather(like=self.progress.losses.sums)
        return mean.record("valid")

    def _resume(self) -> None:
        """Resume from the state of an earlier process, if it left any."""
        if not self.objective.resumable:
            raise ValueError(
                f"{type(self.objective).__name__} keeps more than its weights from step to step, "
                "so its run cannot be resumed: use checkpoint_dir=None."
            )
        state = None
        if self.run_folder is not None:
            state = self.run_folder.read()
        state = self.engine.from_first(state)
        if state is None:
            return
        try:
            self._restore(state)
        except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())  # torch's have several lines
            raise ValueError(
                f"A state in checkpoint_dir does not fit this run ({reason}): remove the folder "
                "of the run to train from the start."
            ) from error

    def _restore(self, state: RunState) -> None:
        """Continue from a state, or take the outcome of a run that has ended."""
        self.objective.load_state_dict(state.section("weights"))
        if state.plain.get("finished"):
            self.was_finished = True
            self.progress.history = state.plain["history"]
            self.progress.best_epoch = state.plain["best_epoch"]
            return
        self.progress.restore(state, self.optimizer)
        self.engine.load_precision_state(state.plain["precision"])

    def _forward(self, batch: Batch | BatchShare) -> tuple[Losses, Tensor]:
        """Return the losses of the whole batch, and this process's term of the minimised loss."""
        masks = self.progress.masks
        if not isinstance(batch, BatchShare):
            losses: Losses = self.module(*batch, generator=masks)
            return losses, losses.loss
        # masks have the dtype that the forward pass would draw them in, float64 for "64-true"
        with self.engine.autocast():
            own_masks = batch.masks(self.objective, masks)
        context = nullcontext() if batch.slice is None else shared_batch()
        with context:
            own_losses: Losses = self.module(*batch.batch, masks=own_masks)
        losses = batch.whole_batch_losses(own_losses)
        return losses, batch.weight * own_losses.loss

    def _keep_if_best(self, record: EpochRecord) -> None:
        """Keep the weights if the monitored loss is the lowest so far.

        Raises
        ------
        ValueError
            If a loss is not finite.
        """
        rate = self.options.learning_rate
        for name in ("train_loss", "valid_loss"):
            loss = record.get(name, 0.0)
            if not math.isfinite(loss):
                raise ValueError(
                    f"The loss ({name}) became {loss} in epoch {record['epoch']}: lower "
                    f"learning_rate (now {rate:g}), or look for extreme values in X."
                )
        if self.validation is None:
            self.progress.best_epoch = len(self.progress.history)
            return
        loss = record[f"valid_{self.objective.monitor}"]
        if loss < self.progress.best_loss:
            self.progress.keep(loss, self.objective)


def _training_batches(
    panel: Panel, device: torch.device, group: Group | None
) -> Callable[[np.ndarray], Batch | BatchShare]:
    """Return the function from rows to their batch, or to this process's share of it."""
    if group is None:
        return batches_on(panel, device)
    return shares_on(panel, device, group)
