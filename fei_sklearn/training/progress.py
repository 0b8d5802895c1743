"""How far a run has come, who follows it, and all that decides how it goes on from there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, distributed, nn
from torch.optim import Optimizer

from fei_sklearn.training.checkpointing import RunState

EpochRecord = dict[str, float]

#: Gives copies of the best weights so far, and their epoch, from 1.
Best = Callable[[], tuple[dict[str, Tensor], int]]


class Watcher(Protocol):
    """Whoever follows a run epoch by epoch."""

    def begin(self, best: Best) -> None:
        """Hear that the run begins, and how to get at its best weights."""

    def begin_epoch(self) -> None:
        """Hear that an epoch begins."""

    def end_epoch(self, record: EpochRecord) -> bool:
        """Hear what an epoch gave; True asks to stop."""


#: What of the progress is plain: counters, records and times.
PLAIN = ("step", "epoch_step", "seconds", "history", "best_epoch", "best_loss")


class Mean:
    """Mean of the losses over the series, on the device until it is asked for."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self.names = list(names)
        self.total: Tensor | None = None
        self.n_samples = 0

    def add(self, losses: Any, n_samples: int) -> None:
        """Take in the losses of a batch: a named tuple of 0-dim tensors, means over its series."""
        self.names = list(losses._fields)
        weighted = n_samples * torch.stack(list(losses)).detach()
        self.total = weighted if self.total is None else self.total + weighted
        self.n_samples += n_samples

    def gather(self, like: Tensor) -> None:
        """Take in what the other processes of the group have, of which some may have nothing."""
        own = torch.zeros_like(like) if self.total is None else self.total
        sums = torch.cat([own, own.new_tensor([self.n_samples])])
        distributed.all_reduce(sums)
        self.total, self.n_samples = sums[:-1] / sums[-1], 1

    def record(self, prefix: str) -> EpochRecord:
        """The means by name, after a prefix."""
        assert self.total is not None
        means = (self.total / self.n_samples).tolist()  # the one sync with the device
        return {f"{prefix}_{name}": mean for name, mean in zip(self.names, means, strict=True)}


class Progress:
    """Counters, records, generators and the best weights of a run.

    Parameters
    ----------
    seed : int
        Seed of the order of the series and of the masks.
    device : torch.device
        Where the masks are drawn.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        self.order = torch.Generator().manual_seed(seed)
        self.masks = torch.Generator(device).manual_seed(seed + 1)
        self.step = 0
        self.history: list[EpochRecord] = []
        self.best_epoch, self.best_loss = 0, math.inf
        self.best_weights: dict[str, Tensor] = {}
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Forget the last epoch's losses, and note from where the next one's order is drawn."""
        self.mean, self.epoch_step, self.seconds = Mean(), 0, 0.0
        self.order_at_begin = self.order.get_state()

    def keep(self, loss: float, objective: nn.Module) -> None:
        """Copy the weights of the epoch that has just been recorded, the best so far."""
        self.best_epoch, self.best_loss = len(self.history), loss
        self.best_weights = copies(objective)

    def best(self, objective: nn.Module) -> tuple[dict[str, Tensor], int]:
        """The weights that the run would leave if it stopped now, and their epoch."""
        return self.best_weights or copies(objective), self.best_epoch

    def is_stale(self, patience: int | None) -> bool:
        """Whether the last `patience` epochs were no better than one before them."""
        return patience is not None and len(self.history) - self.best_epoch >= patience

    def outcome(self, objective: nn.Module) -> RunState:
        """RunState of a run that has ended: what it leaves, and no way on."""
        plain = {"finished": True, "history": self.history, "best_epoch": self.best_epoch}
        state = RunState(plain)
        state.add("weights", objective.state_dict())
        return state

    def state(
        self,
        objective: nn.Module,
        optimizer: Optimizer,
        precision: dict[str, Any],
        *,
        global_random_state: bool,
    ) -> RunState:
        """What a run needs to go on from here.

        Parameters
        ----------
        objective, optimizer
            Of the run.
        precision : dict
            RunState of the engine's precision, of which JSON can hold all.
        global_random_state : bool
            Whether the states of torch's global generators are this run's own.

        Returns
        -------
        RunState
            For :meth:`restore`.
        """
        plain = {name: getattr(self, name) for name in PLAIN}
        state = RunState(plain | {"names": self.mean.names, "n_samples": self.mean.n_samples})
        state.plain["precision"] = precision
        state.add("weights", objective.state_dict())
        state.add("best", self.best_weights)
        state.add("optimizer", moments_of(optimizer))
        generators = {"order": self.order_at_begin, "masks": self.masks.get_state()}
        if global_random_state:
            generators |= self._global_generators()
        state.add("generators", generators)
        assert self.mean.total is not None
        state.tensors["total"] = self.mean.total
        return state

    def restore(self, state: RunState, optimizer: Optimizer) -> None:
        """Take over all of a state but the objective's weights and the precision."""
        for name in PLAIN:
            setattr(self, name, state.plain[name])
        self.mean.names, self.mean.n_samples = state.plain["names"], state.plain["n_samples"]
        self.mean.total = state.tensors["total"].to(self.device)
        self.best_weights = {k: v.to(self.device) for k, v in state.section("best").items()}
        set_moments(optimizer, state.section("optimizer"))
        generators = state.section("generators")
        self.order_at_begin = generators["order"]
        self.order.set_state(self.order_at_begin)
        self.masks.set_state(generators["masks"])
        if "cpu" in generators:
            torch.set_rng_state(generators["cpu"])
        if "cuda" in generators:
            torch.cuda.set_rng_state(generators["cuda"], self.device)

    def _global_generators(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        return states


def moments_of(optimizer: Optimizer) -> dict[str, Tensor]:
    """What an optimiser keeps from step to step, by the number of the parameter and a name."""
    state = optimizer.state_dict()["state"].items()
    return {f"{index}.{name}": value for index, kept in state for name, value in kept.items()}


def set_moments(optimizer: Optimizer, moments: Mapping[str, Tensor]) -> None:
    """Give an optimiser what :func:`moments_of` had of another over the same parameters."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in moments.items():
        index, key = name.split(".")
        state.setdefault(int(index), {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def copies(module: nn.Module) -> dict[str, Tensor]:
    """Copies of a module's weights as they are."""
    return {name: value.clone() for name, value in module.state_dict().items()}
