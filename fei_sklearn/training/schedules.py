"""Schedules over a run: momentum of the target encoder, and the learning rate."""

from __future__ import annotations

import math


def momentum_at(
    step: int,
    n_steps: int,
    start: float = 0.995,
) -> float:
    """Return the momentum of the target encoder: linear from `start` to 1 over the run.

    Parameters
    ----------
    step : int
        Optimiser steps done before this update, from 0.
    n_steps : int
        Steps of the whole run.
    start : float, default=0.995
        Momentum of the first update.

    Returns
    -------
    float
        ``start + (1 - start) * step / n_steps``.
    """
    progress = min(step / max(n_steps, 1), 1.0)
    return start + (1.0 - start) * progress


def cosine_factor(
    step: int,
    n_steps: int,
    warmup: float = 0.05,
) -> float:
    """Return the factor on the learning rate: linear warm-up, then half a cosine down to 0.

    Parameters
    ----------
    step : int
        Optimiser steps done before this one, from 0.
    n_steps : int
        Steps of the whole run.
    warmup : float, default=0.05
        Share of the run that warms up.

    Returns
    -------
    float
        Factor in (0, 1].
    """
    n_warmup = math.ceil(warmup * n_steps)
    if step < n_warmup:
        return (step + 1) / (n_warmup + 1)
    n_falling = max(n_steps - n_warmup, 1)
    progress = min((step - n_warmup) / n_falling, 1.0)
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def decay_factor(epoch: int, decay: float) -> float:
    """Return the factor on the learning rate that shrinks after each epoch.

    This is the paper's schedule, with ``decay=0.9``.

    Parameters
    ----------
    epoch : int
        Epochs done before this one, from 0.
    decay : float
        Ratio of the learning rates of two epochs.

    Returns
    -------
    float
        ``decay ** epoch``.
    """
    return float(decay**epoch)
