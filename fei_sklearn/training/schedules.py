"""What changes over a run: momentum of the target encoder, and the learning rate."""

from __future__ import annotations

import math


def momentum_at(step: int, n_steps: int, start: float = 0.995) -> float:
    """Momentum of the target encoder: linear from `start` to 1 over the run.

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
    return start + (1.0 - start) * min(step / max(n_steps, 1), 1.0)


def cosine_factor(step: int, n_steps: int, warmup: float = 0.05) -> float:
    """Factor on the learning rate: linear warm-up, then half a cosine down to 0.

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
        In (0, 1].
    """
    n_warmup = math.ceil(warmup * n_steps)
    if step < n_warmup:
        return (step + 1) / (n_warmup + 1)
    progress = (step - n_warmup) / max(n_steps - n_warmup, 1)
    return 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))


def decay_factor(epoch: int, decay: float) -> float:
    """Factor on the learning rate that shrinks after each epoch, ``decay ** epoch``.

    The paper's schedule, with ``decay=0.9``.
    """
    return float(decay**epoch)
