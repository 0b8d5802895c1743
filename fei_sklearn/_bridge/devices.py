"""The machine: devices, precision, threads, and the caller's random state."""

from __future__ import annotations

import numbers
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Devices:
    """Devices that compute together.

    Attributes
    ----------
    own : torch.device
        This process's.
    count : int
        How many there are, each with a process of its own in training.
    joined : bool
        Whether torchrun or SLURM has started these processes, of which this is one.
    """

    own: torch.device
    count: int
    joined: bool

    def all(self) -> list[torch.device]:
        """Those that this process may use by itself."""
        if self.joined or self.count == 1:
            return [self.own]
        if self.own.type == "cpu":
            return [self.own] * self.count
        return [torch.device(self.own.type, index) for index in range(self.count)]


def resolve_devices(n_devices: int | str, device: str) -> Devices:
    """Devices to compute on together.

    Parameters
    ----------
    n_devices : int or "auto"
        Number of devices. "auto" is that of the processes that torchrun or SLURM has started, else
        that of the machine's CUDA devices, else 1.
    device : str
        As :func:`resolve_device` takes it.

    Returns
    -------
    Devices
        They exist.

    Raises
    ------
    ValueError
        If there are fewer devices, or other processes than `n_devices`.
    """
    own = resolve_device(device)
    n_processes, local_rank = _launched()
    if n_devices == "auto":
        n_devices = n_processes
        if n_processes == 1 and own.type == "cuda" and own.index is None:
            n_devices = torch.cuda.device_count()
    n_devices = int(n_devices)
    if n_devices == 1:
        return Devices(own, 1, False)
    if own.index is not None or own.type not in ("cpu", "cuda"):
        raise ValueError(
            f"n_devices={n_devices} needs device='cuda', whose devices it counts from the first, "
            f"or 'cpu', got {device!r}."
        )
    if n_processes not in (1, n_devices):
        raise ValueError(
            f"n_devices={n_devices}, but {n_processes} processes were started: use "
            f"n_devices={n_processes} or 'auto'."
        )
    joined = n_processes > 1
    n_here, n_needed = torch.cuda.device_count(), local_rank + 1 if joined else n_devices
    if own.type == "cuda" and n_needed > n_here:
        raise ValueError(
            f"n_devices={n_devices} needs {n_needed} CUDA devices on this machine, which has or "
            f"shows {n_here}: use n_devices='auto'."
        )
    if joined and own.type == "cuda":
        own = torch.device("cuda", local_rank)
    return Devices(own, n_devices, joined)


def _launched() -> tuple[int, int]:
    """Processes that torchrun or SLURM has started, and which of its machine's this is."""
    env = os.environ
    if {"RANK", "WORLD_SIZE", "LOCAL_RANK"} <= env.keys():
        return int(env["WORLD_SIZE"]), int(env["LOCAL_RANK"])
    # srun alone makes steps; a batch script by itself is one process, whatever SLURM_NTASKS is
    if {"SLURM_STEP_ID", "SLURM_NTASKS", "SLURM_LOCALID"} <= env.keys():
        return int(env["SLURM_NTASKS"]), int(env["SLURM_LOCALID"])
    return 1, 0


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


@contextmanager
def shared_threads(n_workers: int) -> Iterator[None]:
    """Run a block in which torch's CPU threads are shared out among so many workers."""
    with torch_threads(max(1, torch.get_num_threads() // n_workers) if n_workers > 1 else None):
        yield


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
