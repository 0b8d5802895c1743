"""torch's global random state of a device, which modules without a generator draw from."""

from __future__ import annotations

import torch
from torch import Tensor


def random_state(device: torch.device) -> Tensor:
    """Return the state of the global generator of a device.

    Parameters
    ----------
    device : torch.device
        The CPU or an accelerator.
    """
    if device.type == "cpu":
        return torch.get_rng_state()
    if device.type == "mps":
        # one generator, and earlier versions of torch take no device
        return torch.mps.get_rng_state()
    state: Tensor = getattr(torch, device.type).get_rng_state(device)
    return state


def set_random_state(device: torch.device, state: Tensor) -> None:
    """Restore what :func:`random_state` returned.

    Parameters
    ----------
    device : torch.device
        The CPU or an accelerator.
    state : Tensor
        State of its global generator.
    """
    if device.type == "cpu":
        torch.set_rng_state(state)
    elif device.type == "mps":
        torch.mps.set_rng_state(state)
    else:
        getattr(torch, device.type).set_rng_state(state, device)


def seed_random_state(device: torch.device, seed: int) -> None:
    """Seed the global generator of one device, and of no other.

    Parameters
    ----------
    device : torch.device
        The CPU or an accelerator.
    seed : int
        Seed, with which `torch.manual_seed` draws the same numbers.
    """
    generator = torch.Generator(device)
    generator.manual_seed(seed)
    set_random_state(device, generator.get_state())
