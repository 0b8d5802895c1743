"""The machine: devices, precision, threads, and the caller's random state."""

from __future__ import annotations

import numbers
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import joblib
import torch

PRECISIONS = ("auto", "32-true", "64-true", "16-mixed", "bf16-mixed")


def resolve_device(device: str | torch.device) -> torch.device:
    """Device to compute on.

    Parameters
    ----------
    device : str or torch.device
        "auto" takes CUDA where there is one and the CPU elsewhere.

    Returns
    -------
    torch.device
        The device, which exists.

    Raises
    ------
    ValueError
        If torch does not know the device, or the machine does not have it.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError):
        raise ValueError(
            f"device must be 'auto', 'cpu', 'cuda', 'cuda:N' or 'mps', got {device!r}."
        ) from None
    if resolved.type == "cpu":
        return torch.device("cpu")
    backend = {"cuda": torch.cuda, "mps": torch.mps}.get(resolved.type)
    n_devices = backend.device_count() if backend is not None else 0
    if (resolved.index or 0) >= n_devices:
        raise ValueError(
            f"device={str(device)!r} is not on this machine, which has {n_devices} such devices; "
            "use device='auto' or 'cpu'."
        )
    return resolved


def resolve_precision(precision: str, device: torch.device) -> str:
    """Precision to train in, by Lightning Fabric's name.

    "auto" is float32 on the CPU, and mixed with bfloat16 on a CUDA device that has it.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {list(PRECISIONS)}, got {precision!r}.")
    if precision != "auto":
        return precision
    return "bf16-mixed" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "32-true"


@contextmanager
def torch_threads(n_jobs: int | None) -> Iterator[None]:
    """Run a block with this many of torch's CPU threads, and restore their number.

    Parameters
    ----------
    n_jobs : int or None
        Number of threads, at most one for each core; -1 means one for each core. None leaves the
        number as it is.
    """
    before = torch.get_num_threads()
    if n_jobs is not None:
        if not isinstance(n_jobs, numbers.Integral) or n_jobs == 0:
            raise ValueError(f"n_jobs must be None or an integer other than 0, got {n_jobs!r}.")
        # more threads than cores only wait for each other, and very many crash torch
        n_threads = min(joblib.effective_n_jobs(int(n_jobs)), os.cpu_count() or 1)
        torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        if n_jobs is not None:
            torch.set_num_threads(before)


_global_generator = threading.RLock()


@contextmanager
def private_random_state(seed: int, device: torch.device) -> Iterator[None]:
    """Run a block, whose modules draw from torch's global generator, from a seed of its own.

    The caller's random state is as it was afterwards.
    """
    devices = [device] if device.type == "cuda" else []
    # the generator is the process's, so threads take turns
    with _global_generator, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
