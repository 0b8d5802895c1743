"""Progress of a run: its records, losses, generators and best weights, and who follows it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, distributed, nn

from fei_sklearn.objectives.base import Losses
from fei_sklearn.training.adamw import AnyOptimizer
from fei_sklearn.training.checkpointing import RunState
from fei_sklearn.training.options import Seeds
from fei_sklearn.training.random_states import random_state, set_random_state

CPU = torch.device("cpu")

#: Epoch, losses, learning rate, momentum and seconds of an epoch, by name.
EpochRecord = dict[str, float]

#: Tensors by name.
Tensors = dict[str, Tensor]

#: Function that returns copies of the best weights so far, and their epoch, from 1.
Best = Callable[[], tuple[Tensors, int]]


class Watcher(Protocol):
    """Follower of a run, called around each epoch."""

    def begin(self, best: Best) -> None:
        """Follow a run that begins.

        Parameters
        ----------
        best : callable
            Function that returns copies of the best weights so far, and their epoch, from 1.
        """

    def begin_epoch(self) -> None:
        """Follow an epoch that begins."""

    def end_epoch(self, record: EpochRecord) -> bool:
        """Return whether the run should stop after this epoch.

        Parameters
        ----------
        record : dict of str to float
            Losses and settings of the epoch.
        """


class MeanLosses:
    """Means of the losses over series, kept on the device until they are recorded.

    Parameters
    ----------
    names : sequence of str, default=()
        Names of the losses; the first batch replaces them.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self.names = list(names)
        self.n_samples = 0
        self._sums: Tensor | None = None

    @property
    def sums(self) -> Tensor:
        """Losses, each summed over the series, of shape (n_losses,).

        Raises
        ------
        RuntimeError
            If no batch has been added.
        """
        if self._sums is None:
            raise RuntimeError("The losses have no mean: no batch has been added.")
        return self._sums

    def add(self, losses: Losses, n_samples: int) -> None:
        """Add the losses of a batch.

        Parameters
        ----------
        losses : NamedTuple of Tensor
            0-dim tensors, means over the series of the batch.
        n_samples : int
            Series of the batch.
        """
        self.names = list(losses._fields)
        means = torch.stack(list(losses)).detach()
        sums = n_samples * means
        if self._sums is not None:
            sums = self._sums + sums
        self._sums = sums
        self.n_samples += n_samples

    def restore(
        self,
        names: Sequence[str],
        sums: Tensor,
        n_samples: int,
    ) -> None:
        """Continue from the names, sums and number of series of an earlier process."""
        self.names = list(names)
        self.n_samples = n_samples
        self._sums = sums

    def gather(self, like: Tensor) -> None:
        """Replace the sums by the means over the batches of all processes of the group.

        Parameters
        ----------
        like : Tensor of shape (n_losses,)
            Tensor of the sums' shape and dtype; some processes may have no batch.
        """
        own = self._sums
        if own is None:
            own = torch.zeros_like(like)
        count = own.new_tensor([self.n_samples])
        totals = torch.cat([own, count])
        distributed.all_reduce(totals)
        self._sums = totals[:-1] / totals[-1]
        self.n_samples = 1

    def record(self, prefix: str) -> EpochRecord:
        """Return the means by name, after a prefix and an underscore."""
        means = self.sums / self.n_samples
        values = means.tolist()  # the one sync with the device
        names = [f"{prefix}_{name}" for name in self.names]
        return dict(zip(names, values, strict=True))


class Progress:
    """Counters, records, generators and the best weights of a run.

    Parameters
    ----------
    seeds : Seeds
        Seeds of the order of the series and of their masks.
    device : torch.device
        Device on which the masks are drawn.

    Attributes
    ----------
    step : int
        Optimiser steps done.
    epoch_step : int
        Optimiser steps done in the present epoch.
    seconds : float
        Seconds spent on the present epoch.
    losses : MeanLosses
        Training losses of the present epoch.
    history : list of dict
        Records of the epochs done.
    best_epoch : int
        Epoch of the best weights, from 1; 0 before the first.
    best_loss : float
        Monitored loss of the best weights.
    best_weights : dict of str to Tensor
        Copies of the best weights; empty without validation.
    """

    def __init__(self, seeds: Seeds, device: torch.device) -> None:
        self.device = device
        self.order = torch.Generator().manual_seed(seeds.order)
        self.masks = torch.Generator(device).manual_seed(seeds.masks)
        self.step = 0
        self.history: list[EpochRecord] = []
        self.best_epoch = 0
        self.best_loss = math.inf
        self.best_weights: Tensors = {}
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Reset what belongs to one epoch, and keep the generator's state before its order."""
        self.losses = MeanLosses()
        self.epoch_step = 0
        self.seconds = 0.0
        self.order_at_begin = self.order.get_state()

    def keep(self, loss: float, objective: nn.Module) -> None:
        """Copy the weights of the epoch recorded last, whose loss is the lowest so far."""
        self.best_epoch = len(self.history)
        self.best_loss = loss
        self.best_weights = copies(objective)

    def best(self, objective: nn.Module) -> tuple[Tensors, int]:
        """Return the weights that the run would keep if it stopped now, and their epoch."""
        weights = self.best_weights or copies(objective)
        return weights, self.best_epoch

    def is_stale(self, patience: int | None) -> bool:
        """Return whether the last `patience` epochs were all no better than an earlier one."""
        if patience is None:
            return False
        return len(self.history) - self.best_epoch >= patience

    def outcome(self, objective: nn.Module) -> RunState:
        """Return the state of a run that has ended: weights and history."""
        plain = {
            "finished": True,
            "history": self.history,
            "best_epoch": self.best_epoch,
        }
        state = RunState(plain)
        state.add("weights", objective.state_dict())
        return state

    def state(
        self,
        objective: nn.Module,
        optimizer: AnyOptimizer,
        precision: dict[str, Any],
        *,
        global_random_state: bool,
    ) -> RunState:
        """Return the state from which the run can be resumed after the step done last.

        Parameters
        ----------
        objective : torch.nn.Module
            Module that is trained.
        optimizer : AdamW
            Optimiser of the run.
        precision : dict
            State of the engine's precision, in JSON's types.
        global_random_state : bool
            Whether the state includes torch's global random generators.

        Returns
        -------
        RunState
            State for :meth:`restore`.
        """
        plain = {
            "step": self.step,
            "epoch_step": self.epoch_step,
            "seconds": self.seconds,
            "history": self.history,
            "best_epoch": self.best_epoch,
            "best_loss": self.best_loss,
            "names": self.losses.names,
            "n_samples": self.losses.n_samples,
            "precision": precision,
        }
        state = RunState(plain)
        state.add("weights", objective.state_dict())
        state.add("best", self.best_weights)
        state.add("optimizer", moments_of(optimizer))
        state.add("generators", self._generators(global_random_state))
        if self.losses.n_samples:
            state.tensors["total"] = self.losses.sums
        return state

    def restore(self, state: RunState, optimizer: AnyOptimizer) -> None:
        """Continue from a state, except for the objective's weights and the precision.

        Raises
        ------
        ValueError
            If the state does not fit itself or the optimiser.
        """
        _check_best(state.section("best"), state.section("weights"))
        plain = state.plain
        self.step = plain["step"]
        self.epoch_step = plain["epoch_step"]
        self.seconds = plain["seconds"]
        self.history = plain["history"]
        self.best_epoch = plain["best_epoch"]
        self.best_loss = plain["best_loss"]
        if plain["n_samples"]:
            sums = state.tensors["total"].to(self.device)
            if sums.shape != (len(plain["names"]),):
                raise ValueError(f"it has sums of shape {tuple(sums.shape)}")
            self.losses.restore(plain["names"], sums, plain["n_samples"])
        self.best_weights = {}
        for name, value in state.section("best").items():
            self.best_weights[name] = value.to(self.device)
        set_moments(optimizer, state.section("optimizer"))
        self._restore_generators(state.section("generators"))

    def _generators(self, global_random_state: bool) -> Tensors:
        states = {
            "order": self.order_at_begin,
            "masks": self.masks.get_state(),
        }
        if not global_random_state:
            return states
        for device in {CPU, self.device}:
            states[device.type] = random_state(device)
        return states

    def _restore_generators(self, states: Tensors) -> None:
        self.order_at_begin = states["order"]
        self.order.set_state(self.order_at_begin)
        self.masks.set_state(states["masks"])
        for device in {CPU, self.device}:
            if device.type in states:
                set_random_state(device, states[device.type])


def _check_best(
    best: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
) -> None:
    """Raise a ValueError if there are best weights that the objective could not load."""
    shapes = {name: value.shape for name, value in best.items()}
    expected = {name: value.shape for name, value in weights.items()}
    if best and shapes != expected:
        raise ValueError("its best weights do not have the names and shapes of its weights")


def moments_of(optimizer: AnyOptimizer) -> Tensors:
    """Return an optimiser's state, each tensor under the number of its parameter and a name."""
    moments = {}
    state = optimizer.state_dict()["state"]
    for number, values in state.items():
        for name, value in values.items():
            moments[f"{number}.{name}"] = value
    return moments


def set_moments(
    optimizer: AnyOptimizer,
    moments: Mapping[str, Tensor],
) -> None:
    """Set an optimiser's state to what :func:`moments_of` returned for the same parameters.

    Raises
    ------
    ValueError
        If the moments do not fit the parameters. torch would read beyond the end of a moment that
        is too short.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    by_parameter: dict[str, Tensors] = {}
    for key, value in moments.items():
        number, _, name = key.partition(".")
        by_parameter.setdefault(number, {})[name] = value
    state: dict[int, Tensors] = {}
    for position, parameter in enumerate(parameters):
        values = by_parameter.pop(str(position), None)
        if values is not None:
            _check_moments(position, parameter, values)
            state[position] = values
    if by_parameter:
        unknown = sorted(by_parameter)
        raise ValueError(f"AdamW's moments name the parameters {unknown}, which are not there.")
    restored = optimizer.state_dict()
    restored["state"] = state
    optimizer.load_state_dict(restored)


def _check_moments(
    position: int,
    parameter: Tensor,
    values: Tensors,
) -> None:
    """Raise a ValueError if the moments of a parameter do not have its shape and dtype."""
    expected = dict.fromkeys(("exp_avg", "exp_avg_sq"), (parameter.shape, parameter.dtype))
    actual = {name: (value.shape, value.dtype) for name, value in values.items()}
    step = values.get("step")
    has_step = step is not None and step.ndim == 0 and step.is_floating_point()
    actual.pop("step", None)
    if not has_step or actual != expected:
        shape = tuple(parameter.shape)
        raise ValueError(
            f"AdamW's moments of parameter {position} have the shapes and dtypes {actual}: they "
            f"must be a step and two tensors of {shape}, {parameter.dtype}."
        )


def copies(module: nn.Module) -> Tensors:
    """Return copies of a module's weights, by name."""
    weights = module.state_dict()
    return {name: value.clone() for name, value in weights.items()}
