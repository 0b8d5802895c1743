"""Engines of a run: torch alone, or Lightning Fabric, which only this module knows.

One device in float32 needs nothing but torch, and gives the same bits as Fabric. Importing Fabric
and torch's compiler would take more than half of the first fit of a process.
"""

from __future__ import annotations

import inspect
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from torch import Tensor, distributed, nn
from torch.optim import Optimizer

from fei_sklearn.encoder.memory import is_out_of_memory
from fei_sklearn.objectives.base import Objective
from fei_sklearn.training.adamw import AdamW, AnyOptimizer
from fei_sklearn.training.options import TrainingOptions
from fei_sklearn.training.shares import Group, processes_here

if TYPE_CHECKING:
    from lightning_fabric import Fabric

T = TypeVar("T")

#: How long processes wait for each other before they report one as lost.
GROUP_TIMEOUT = timedelta(minutes=10)


def engine_for(options: TrainingOptions) -> Engine:
    """Return the engine for a run: Fabric's for several devices and for other precisions.

    Parameters
    ----------
    options : TrainingOptions
        Options of the run.
    """
    if options.n_devices == 1 and options.precision == "32-true":
        return Engine()
    return FabricEngine(options)


class Engine:
    """Engine of a run on one device in float32.

    Attributes
    ----------
    group : Group or None
        Processes that train together; None for a single one.
    is_first : bool
        Whether this is the first process of the group, which writes states and calls the watcher.
    """

    group: Group | None = None
    is_first = True

    def setup(
        self,
        objective: Objective,
        options: TrainingOptions,
    ) -> tuple[nn.Module, AnyOptimizer]:
        """Move an objective to the device.

        Parameters
        ----------
        objective : Objective
            Module to train, changed in place.
        options : TrainingOptions
            Options of the run.

        Returns
        -------
        module : torch.nn.Module
            The objective, which may be wrapped for precision and for the process group.
        optimizer : AdamW
            AdamW on the objective's parameters.
        """
        objective.to(options.device)
        optimizer = AdamW(
            parameter_groups(objective),
            learning_rate=options.learning_rate,
            fused=_takes_fused_steps(options.device),
        )
        return objective, optimizer

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which tensors have the dtype that they have in the forward pass."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients of a loss, averaged over the processes of the group."""
        torch.autograd.backward(loss)

    def clip_gradients(
        self,
        module: nn.Module,
        optimizer: AnyOptimizer,
        max_norm: float,
    ) -> None:
        """Clip the norm of all gradients together."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(parameters, max_norm, error_if_nonfinite=False)

    def from_first(self, value: T) -> T:
        """Return the value of the group's first process in every process."""
        return value

    def copy_weights_from_first(self, module: nn.Module) -> None:
        """Copy a module's weights and buffers from the group's first process to all others."""

    def precision_state(self) -> dict[str, Any]:
        """Return the state of the precision, such as a factor on the loss, in JSON's types."""
        return {}

    def load_precision_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`precision_state` returned."""


class FabricEngine(Engine):
    """Engine for several devices and for other precisions, by Lightning Fabric.

    Parameters
    ----------
    options : TrainingOptions
        Options of the run.
    """

    def __init__(self, options: TrainingOptions) -> None:
        self._fabric = _fabric(options)
        rank = self._fabric.global_rank
        self.is_first = rank == 0
        if options.n_devices > 1:
            self.group = Group(rank, options.n_devices)

    def setup(  # noqa: D102
        self,
        objective: Objective,
        options: TrainingOptions,
    ) -> tuple[nn.Module, AnyOptimizer]:
        fused = _takes_fused_steps(options.device)
        optimizer: Optimizer = torch.optim.AdamW(
            parameter_groups(objective),
            lr=options.learning_rate,
            fused=fused,
            foreach=not fused,
        )
        module, optimizer = self._fabric.setup(objective, optimizer)
        return module, optimizer

    def autocast(self) -> AbstractContextManager[None]:  # noqa: D102
        return self._fabric.autocast()

    def backward(self, loss: Tensor) -> None:  # noqa: D102
        self._fabric.backward(loss)

    def clip_gradients(  # noqa: D102
        self,
        module: nn.Module,
        optimizer: AnyOptimizer,
        max_norm: float,
    ) -> None:
        self._fabric.clip_gradients(
            cast(Any, module),
            cast(Optimizer, optimizer),
            max_norm=max_norm,
            error_if_nonfinite=False,
        )

    def from_first(self, value: T) -> T:  # noqa: D102
        if self.group is None:
            return value
        return self._fabric.broadcast(value)

    def copy_weights_from_first(self, module: nn.Module) -> None:  # noqa: D102
        if self.group is None:
            return
        for value in module.state_dict().values():
            distributed.broadcast(value, 0)

    def precision_state(self) -> dict[str, Any]:  # noqa: D102
        return self._fabric.strategy.precision.state_dict()

    def load_precision_state(self, state: dict[str, Any]) -> None:  # noqa: D102
        self._fabric.strategy.precision.load_state_dict(state)


def _takes_fused_steps(device: torch.device) -> bool:
    # fused takes a third of the time; on CUDA Fabric would refuse clipping
    return device.type == "cpu"


def parameter_groups(objective: Objective) -> list[dict[str, Any]]:
    """Return AdamW's groups: parameters with weight decay, then parameters without.

    Parameters
    ----------
    objective : Objective
        Module to train. Parameters without a gradient are in neither group.

    Returns
    -------
    list of dict
        One group or, if the objective spares any parameter, two.
    """
    undecayed = objective.undecayed()
    spared = {id(parameter) for parameter in undecayed}
    decayed = [
        parameter
        for parameter in objective.parameters()
        if parameter.requires_grad and id(parameter) not in spared
    ]
    groups: list[dict[str, Any]] = [{"params": decayed}]
    if undecayed:
        groups.append({"params": undecayed, "weight_decay": 0.0})
    return groups


@contextmanager
def memory_explained(batch_size: int, n_samples: int) -> Iterator[None]:
    """Turn a lack of memory on the device into an error that names the batch size.

    Parameters
    ----------
    batch_size, n_samples : int
        Series of a batch, and of the panel.

    Raises
    ------
    ValueError
        If the device runs out of memory. A MemoryError of NumPy passes.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        size = min(batch_size, n_samples)
        raise ValueError(
            f"The device has too little memory to train on batches of {size} series: try "
            f"batch_size={max(size // 2, 1)}, a smaller encoder, or shorter series."
        ) from error


@contextmanager
def stride_warnings_ignored(n_devices: int) -> Iterator[None]:
    """Ignore the warning of several devices about the strides of gradients.

    Gradients of 1x1 convolutions differ from their parameters only in strides along axes of one
    value, which costs nothing. The filters belong to the process, so that runs in threads would
    restore each other's: a run on one device, which has no such warning, leaves them alone.
    """
    if n_devices == 1:
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        yield


_loggers = threading.RLock()


@contextmanager
def announcements_ignored(logger_name: str) -> Iterator[None]:
    """Keep the announcements of a logger and its children off stderr, but not their warnings."""
    logger = logging.getLogger(logger_name)
    with _loggers:  # of two threads at once, the later would restore the level of the earlier
        level = logger.level
        logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            logger.setLevel(level)


def _fabric(options: TrainingOptions) -> Fabric:
    """Return Fabric on one device or, joined with the processes of its group, on several."""
    # importing it takes a quarter of a second, so it waits until training starts
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    device = options.device
    precision = cast(Any, options.precision)
    with announcements_ignored("lightning_fabric"):
        if options.n_devices == 1:
            devices = 1 if device.index is None else [device.index]
            return Fabric(
                accelerator=device.type,
                devices=devices,
                precision=precision,
            )
        n_here = processes_here(options.n_devices)
        fabric = Fabric(
            accelerator=device.type,
            devices=n_here,
            num_nodes=options.n_devices // n_here,
            strategy=DDPStrategy(timeout=GROUP_TIMEOUT, **_own_buffers()),
            precision=precision,
        )
        fabric.launch()
    return fabric


def _own_buffers() -> dict[str, Any]:
    """Return the option with which each process keeps its buffers.

    Buffers agree without synchronisation, because each process has the statistics of the whole
    batch. Processes that validate on different batches must not wait for each other. The option's
    name changed in torch 2.13.
    """
    options = inspect.signature(nn.parallel.DistributedDataParallel).parameters
    if "forward_sync_buffers" in options:
        return {"forward_sync_buffers": False}
    return {"broadcast_buffers": False}
