"""Devices, precision and threads to compute on, and the caller's random state."""

from __future__ import annotations

import numbers
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import joblib
import torch

from fei_sklearn.training.random_states import random_state, seed_random_state, set_random_state

#: Most processes per core of the CPU that `n_devices` starts.
PROCESSES_PER_CORE = 4

PRECISIONS = ("auto", "32-true", "64-true", "16-mixed", "bf16-mixed")

#: Precisions of devices that do not have all: MPS lacks float64, and Lightning Fabric lacks XPU.
SOME_PRECISIONS = {
    "mps": ("auto", "32-true", "16-mixed", "bf16-mixed"),
    "xpu": ("auto", "32-true"),
}

#: Types of accelerators that the package computes on.
ACCELERATORS = ("cuda", "mps", "xpu")

CPU = torch.device("cpu")


def resolve_device(device: str | torch.device) -> torch.device:
    """Return a device to compute on.

    Parameters
    ----------
    device : str or torch.device
        Name of a device. "auto" is the accelerator that torch finds (CUDA, MPS or XPU), and the
        CPU where there is none.

    Returns
    -------
    torch.device
        A device of this machine.

    Raises
    ------
    ValueError
        If torch does not know the device, or the machine does not have it.
    """
    if device == "auto":
        return _accelerator() or CPU
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError):
        raise ValueError(
            f"device must be 'auto', 'cpu', 'cuda', 'cuda:N', 'mps' or 'xpu', got {device!r}."
        ) from None
    if resolved.type == "cpu":
        return CPU
    n_devices = _n_devices(resolved.type)
    index = resolved.index or 0
    if index >= n_devices:
        raise ValueError(
            f"device={str(device)!r} is not on this machine, which has {n_devices} such devices; "
            "use device='auto' or 'cpu'."
        )
    return resolved


def _accelerator() -> torch.device | None:
    """Return the accelerator that torch finds, None if there is none that is known."""
    if hasattr(torch, "accelerator"):
        if not torch.accelerator.is_available():
            return None
        found = torch.accelerator.current_accelerator()
        if found is None or found.type not in ACCELERATORS:
            return None
        return found
    # torch before 2.6
    for kind in ACCELERATORS:
        if _n_devices(kind) > 0:
            return torch.device(kind)
    return None


def _n_devices(kind: str) -> int:
    """Return how many devices of a kind the machine has."""
    if kind not in ACCELERATORS:
        return 0
    n_devices: int = getattr(torch, kind).device_count()
    return n_devices


@dataclass(frozen=True)
class Devices:
    """Devices that compute together.

    Attributes
    ----------
    own : torch.device
        Device of this process.
    count : int
        Number of devices, each with a process of its own in training.
    joined : bool
        Whether torchrun or SLURM has started this process and the others of its group.
    """

    own: torch.device
    count: int
    joined: bool

    def all(self) -> list[torch.device]:
        """Return the devices that this process may use by itself."""
        if self.joined or self.count == 1:
            return [self.own]
        if self.own.type == "cpu":
            return [self.own] * self.count
        return [torch.device(self.own.type, index) for index in range(self.count)]


def resolve_devices(n_devices: int | str, device: str) -> Devices:
    """Return devices to compute on together.

    Parameters
    ----------
    n_devices : int or "auto"
        Number of devices. "auto" is the number of processes that torchrun or SLURM has started,
        else the number of CUDA devices of the machine, else 1.
    device : str
        Name of a device, as in :func:`resolve_device`.

    Returns
    -------
    Devices
        Devices of this machine.

    Raises
    ------
    ValueError
        If there are fewer devices, or if `n_devices` is not the number of processes started.
    """
    own = resolve_device(device)
    n_processes, local_rank = _launched()
    count = _resolve_count(n_devices, own, n_processes)
    if count == 1:
        return Devices(own, count=1, joined=False)
    if own.index is not None or own.type not in ("cpu", "cuda"):
        raise ValueError(
            f"n_devices={count} needs device='cuda', whose devices are counted from the first, or "
            f"device='cpu', got {device!r}."
        )
    if n_processes not in (1, count):
        raise ValueError(
            f"n_devices={count}, but {n_processes} processes were started: use "
            f"n_devices={n_processes} or 'auto'."
        )
    joined = n_processes > 1
    if own.type == "cpu" and not joined:
        _check_n_processes(count)
    if own.type == "cuda":
        _check_n_cuda(count, n_needed=local_rank + 1 if joined else count)
        if joined:
            own = torch.device("cuda", local_rank)
    return Devices(own, count, joined)


def _resolve_count(n_devices: int | str, own: torch.device, n_processes: int) -> int:
    """Return the number of devices, with a number for "auto"."""
    if n_devices != "auto":
        return int(n_devices)
    if n_processes == 1 and own.type == "cuda" and own.index is None:
        return torch.cuda.device_count()
    return n_processes


def _check_n_cuda(count: int, n_needed: int) -> None:
    """Raise a ValueError if this machine lacks CUDA devices."""
    n_here = torch.cuda.device_count()
    if n_needed > n_here:
        raise ValueError(
            f"n_devices={count} needs {n_needed} CUDA devices on this machine, which has or shows "
            f"{n_here}: use n_devices='auto'."
        )


def _check_n_processes(count: int) -> None:
    """Raise a ValueError if there are many more processes than this machine has cores."""
    n_cores = os.cpu_count() or 1
    most = PROCESSES_PER_CORE * n_cores
    if count > most:
        raise ValueError(
            f"n_devices={count} would start {count} processes on the CPU, which has {n_cores} "
            f"cores: use at most {most}, better one per core."
        )


def _launched() -> tuple[int, int]:
    """Return how many processes torchrun or SLURM has started, and this one's rank on its machine.

    Without a launcher that is one process, of rank 0.
    """
    variables = os.environ
    if {"RANK", "WORLD_SIZE", "LOCAL_RANK"} <= variables.keys():
        return int(variables["WORLD_SIZE"]), int(variables["LOCAL_RANK"])
    # only srun makes steps; a batch script by itself is one process, whatever SLURM_NTASKS is
    if {"SLURM_STEP_ID", "SLURM_NTASKS", "SLURM_LOCALID"} <= variables.keys():
        return int(variables["SLURM_NTASKS"]), int(variables["SLURM_LOCALID"])
    return 1, 0


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return the precision to train in, by Lightning Fabric's name.

    Parameters
    ----------
    precision : str
        One of :data:`PRECISIONS`. "auto" is mixed with bfloat16 on a CUDA device that supports it,
        and float32 elsewhere.
    device : torch.device
        Device to train on.

    Raises
    ------
    ValueError
        If the name is unknown, or the type of device lacks the precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {list(PRECISIONS)}, got {precision!r}.")
    available = SOME_PRECISIONS.get(device.type, PRECISIONS)
    if precision not in available:
        raise ValueError(
            f"precision={precision!r} is not available on device {device.type!r}: use one of "
            f"{list(available)}."
        )
    if precision != "auto":
        return precision
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return "bf16-mixed"
    return "32-true"


#: Process that imported this module.
_importer = os.getpid()


def is_forked() -> bool:
    """Return whether this process was forked from one that may have computed on several threads.

    GNU's OpenMP waits for its threads, which do not survive a fork: a forked process that computes
    on several threads then hangs for ever.
    """
    return os.getpid() != _importer


@contextmanager
def one_thread_if_forked() -> Iterator[None]:
    """Run a block on one of torch's CPU threads if this process was forked."""
    n_jobs = None
    if is_forked():
        n_jobs = 1
    with torch_threads(n_jobs):
        yield


@contextmanager
def torch_threads(n_jobs: int | None) -> Iterator[None]:
    """Run a block with a number of torch's CPU threads, and restore the number afterwards.

    Parameters
    ----------
    n_jobs : int or None
        Number of threads, at most one per core; -1 means one per core. None leaves the number as
        it is.

    Raises
    ------
    ValueError
        If `n_jobs` is 0 or not an integer.
    """
    if n_jobs is None:
        yield
        return
    if not isinstance(n_jobs, numbers.Integral) or n_jobs == 0:
        raise ValueError(f"n_jobs must be None or an integer other than 0, got {n_jobs!r}.")
    before = torch.get_num_threads()
    # more threads than cores only wait for each other, and very many crash torch
    n_threads = min(joblib.effective_n_jobs(int(n_jobs)), os.cpu_count() or 1)
    if is_forked():
        n_threads = 1
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def shared_threads(n_workers: int) -> Iterator[None]:
    """Run a block in which each of several workers has its share of torch's CPU threads."""
    n_jobs = None
    if n_workers > 1:
        n_jobs = max(1, torch.get_num_threads() // n_workers)
    with torch_threads(n_jobs):
        yield


_global_generator = threading.RLock()


@contextmanager
def private_random_state(seed: int, device: torch.device) -> Iterator[None]:
    """Run a block, whose modules draw from torch's global generator, from a seed of its own.

    The caller's random state is restored afterwards.

    Parameters
    ----------
    seed : int
        Seed of the global generator within the block.
    device : torch.device
        Device whose generator is seeded beside the CPU's.
    """
    devices = {CPU, device}
    # the process has one global generator, so threads take turns
    with _global_generator:
        before = {own: random_state(own) for own in devices}
        try:
            for own in devices:
                seed_random_state(own, seed)
            yield
        finally:
            for own, state in before.items():
                set_random_state(own, state)
