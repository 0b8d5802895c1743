"""Errors by which a device reports too little memory."""

from __future__ import annotations

import torch

#: Words of torch's errors on devices that have no error class of their own: the CPU and MPS.
MESSAGES = ("can't allocate memory", "not enough memory", "out of memory")


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
