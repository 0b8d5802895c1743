"""Random draws of a user's module from a generator of its own, without torch's global one."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fei_sklearn._bridge.devices import private_random_state

CPU = torch.device("cpu")


class PrivateDraws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Context in which modules on the CPU draw from a generator.

    torch's global generator belongs to the process, and a fit of a user's own encoder keeps it for
    as long as it trains. A module that is built in this context does not wait for that.

    Parameters
    ----------
    seed : int
        Seed of the generator, which draws the numbers that torch's global one would.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call an operator of torch with the generator, if it draws."""
        kwargs = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        if kwargs.get("generator") is not None:
            return func(*args, **kwargs)
        with_generator = _with_generator(func)
        if with_generator is not None and _is_on_cpu(args, kwargs):
            return with_generator(*args, **kwargs | {"generator": self.generator})
        seed = int(torch.randint(2**31 - 1, (), generator=self.generator))
        with private_random_state(seed, CPU):
            return func(*args, **kwargs)


def _with_generator(func: Any) -> Any:
    """Return the overload of an operator that takes a generator, or None if there is none."""
    names = _argument_names(func)
    if "generator" in names:
        return func
    packet = func.overloadpacket
    for name in packet.overloads():
        overload = getattr(packet, name)
        if _argument_names(overload) == names | {"generator"}:
            return overload
    return None


def _argument_names(func: Any) -> set[str]:
    return {argument.name for argument in func._schema.arguments}


def _is_on_cpu(args: Any, kwargs: dict[str, Any]) -> bool:
    """Return whether the arguments of an operator name no other device."""
    devices = [argument.device for argument in args if isinstance(argument, torch.Tensor)]
    if kwargs.get("device") is not None:
        devices.append(torch.device(kwargs["device"]))
    return all(device.type == "cpu" for device in devices)
