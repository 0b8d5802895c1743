"""Seeded generators and float64 tensors for tests of torch modules."""

from __future__ import annotations

import torch
from torch import Tensor


def seeded(seed: int) -> torch.Generator:
    """Return a generator on the CPU."""
    return torch.Generator().manual_seed(seed)


def double(values: object) -> Tensor:
    """Return a float64 tensor of given values."""
    return torch.tensor(values, dtype=torch.float64)


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Return a float64 tensor of standard normal draws."""
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def units(n: int) -> Tensor:
    """Return `n` orthonormal vectors, float64."""
    return torch.eye(n, dtype=torch.float64)


def padded(x: Tensor, lengths: Tensor, padding: float = 0.0) -> Tensor:
    """Return series (n_samples, n_channels, n_timepoints) with other values on their padding."""
    time = torch.arange(x.shape[-1])
    inside = time < lengths[:, None, None]
    return torch.where(inside, x, padding)
