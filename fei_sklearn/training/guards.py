"""Guards under which a run trains: what it says, and what it leaves unsaid."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def memory_of_the_device(batch_size: int, n_samples: int) -> Iterator[None]:
    """Say in a sentence that the device's memory was too small for a batch."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        size = min(batch_size, n_samples)
        raise ValueError(
            f"The device has too little memory to train on batches of {size} series: try "
            f"batch_size={max(size // 2, 1)}, a smaller encoder, or shorter series."
        ) from error


@contextmanager
def strides_may_differ() -> Iterator[None]:
    """Keep quiet that gradients of 1x1 convolutions have other strides, along axes of one value."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        yield


@contextmanager
def silenced(name: str) -> Iterator[None]:
    """Keep the announcements, but not the warnings, of a logger and its children off stderr."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
