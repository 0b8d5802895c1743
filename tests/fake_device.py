"""A stand-in for an accelerator on a machine that has none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fei_sklearn.objectives.base import Losses, Objective
from fei_sklearn.training.engine import Engine
from fei_sklearn.training.loop import Session, TrainingOptions

META = torch.device("meta")

#: Types that Apple's accelerator lacks.
DOUBLE = (torch.float64, torch.complex128)

#: Operators that wait until the host has a value, or the shape of a result.
HOST_READS = {
    "_local_scalar_dense",
    "_unique",
    "_unique2",
    "allclose",
    "bincount",
    "equal",
    "is_nonzero",
    "masked_select",
    "nonzero",
    "nonzero_static",
    "repeat_interleave",
    "unique_consecutive",
    "unique_dim",
}

#: Operators with an index that may be a mask; its number of ones is a shape.
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}

#: Operators that may move values from one device to another.
COPIES = {"_to_copy", "copy_", "_copy_from"}


class FakeAccelerator(TorchDispatchMode):
    """Context in which tensors of a device obey the rules of an accelerator.

    An accelerator may lack float64, and a step should not wait for the host: no operator reads a
    value, no shape depends on values, no copy from the host blocks, and no operator joins tensors
    of both.

    Parameters
    ----------
    device : torch.device
        Device that plays the accelerator. The CPU computes the values of an unwatched run. The meta
        device has no values, and tells the host's tensors from the accelerator's.
    reads_allowed : bool, default=False
        Whether the host may wait, as it does between two epochs.
    """

    def __init__(self, device: torch.device, *, reads_allowed: bool = False) -> None:
        super().__init__()
        self.device = device
        self.reads_allowed = reads_allowed
        self.n_calls = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        # inference mode hands composed operators over whole, such as `to` and `item`
        with self:
            result = function.decompose(*args, **kwargs)
        if result is not NotImplemented:
            return result
        self.n_calls += 1
        arguments = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        own = [value for value in arguments if self._is_own(value)]
        name = function.overloadpacket.__name__
        if own and not self.reads_allowed:
            assert name not in HOST_READS, f"{function} reads from the device"
            assert name not in INDEXING or not _has_mask(args[1]), f"{function} has a mask"
        result = function(*args, **kwargs)
        for value in tree_leaves(result):
            if isinstance(value, Tensor) and self._is_own(value):
                assert value.dtype not in DOUBLE, f"{function} gives {value.dtype}"
        if name in COPIES:
            self._check_copy(name, args, kwargs, result)
        else:
            others = [value for value in arguments if not self._is_own(value) and value.ndim]
            assert not own or not others, f"{function} joins host and device"
        return result

    def _is_own(self, value: Tensor) -> bool:
        return value.device.type == self.device.type

    def _check_copy(self, name, args, kwargs, result) -> None:
        """Raise if a copy between host and device blocks."""
        source = args[1] if name == "copy_" else args[0]
        if self.reads_allowed or self._is_own(source) == self._is_own(result):
            return
        assert self._is_own(result), f"{name} copies to the host"
        is_asynchronous = kwargs.get("non_blocking", False)
        if name == "copy_":
            is_asynchronous = is_asynchronous or True in args[2:]
        assert is_asynchronous, f"{name} to the device blocks"


def _has_mask(indices) -> bool:
    """Return whether one of the tensors of an index is a mask."""
    masks = (torch.bool, torch.uint8)
    return any(isinstance(index, Tensor) and index.dtype in masks for index in indices)


@contextmanager
def watched_steps() -> Iterator[list[int]]:
    """Run fits in which the CPU plays the accelerator, and yield the operators of each step.

    There is no float64 anywhere, and no step reads a value.
    """
    n_calls = []
    train_step = Session.train_step

    def watched(session, batch, epoch):
        with FakeAccelerator(torch.device("cpu")) as accelerator:
            losses = train_step(session, batch, epoch)
        n_calls.append(accelerator.n_calls)
        return losses

    between_steps = FakeAccelerator(torch.device("cpu"), reads_allowed=True)
    with mock.patch.object(Session, "train_step", watched), between_steps:
        yield n_calls


def meta_step(objective: Objective, options: TrainingOptions, *batch: Tensor | None) -> Losses:
    """Take a training step of an objective on the meta device, on a batch there."""
    engine = Engine()
    with FakeAccelerator(META, reads_allowed=True):
        module, optimizer = engine.setup(objective, options)
    module.train()
    # autocast does not know the meta device
    autocast = mock.patch.object(torch, "autocast", lambda *_, **__: nullcontext())
    with autocast, FakeAccelerator(META):
        losses = module(*batch)
        engine.backward(losses.loss)
        engine.clip_gradients(module, optimizer, 1.0)
        optimizer.step()
        objective.update_target(0.99)
    return losses
