"""Memory of a device: errors that report too little of it, and its release."""

from __future__ import annotations

import torch

#: Words of errors that have no class of their own: those of the CPU, MPS, and CUDA's libraries.
MESSAGES = ("can't allocate memory", "not enough memory", "out of memory", "status_alloc_failed")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a device has too little memory.

    Parameters
    ----------
    error : BaseException
        Error of torch or NumPy.
    """
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    message = str(error).lower()
    is_torch_error = isinstance(error, RuntimeError)
    return is_torch_error and any(words in message for words in MESSAGES)


def release_memory(device: torch.device) -> None:
    """Give the memory that torch keeps for later tensors back to an accelerator.

    Parameters
    ----------
    device : torch.device
        The CPU, whose memory torch does not keep, or an accelerator.
    """
    if device.type != "cpu":
        getattr(torch, device.type).empty_cache()
