"""A synthetic corpus to pretrain on, which anyone can draw again from its seed.

In the manner of KernelSynth (Ansari et al., "Chronos: Learning the Language of Time Series", TMLR
2024), which composes Gaussian processes, of ForecastPFN (Dooley et al., NeurIPS 2023), which adds
up trends, seasons and noise, and of CauKer (Xie et al., "CauKer: Classification Time Series
Foundation Models Can Be Pretrained on Synthetic Data Only", 2025), which sends Gaussian processes
through causal graphs with nonlinear links.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from numbers import Integral

import numpy as np
from numpy import ndarray

from fei_sklearn.datasets.corpus_processes import (
    LINKS,
    PROCESSES,
    Draws,
    coloured_noise,
    resample,
    smooth,
    standardise,
    unit_time,
)

#: Series that are drawn together; each chunk of a stream has a generator of its own.
CHUNK = 256
#: Probabilities that a sum has a second, a third and a fourth term.
PROBABILITIES = (0.6, 0.3, 0.15)


def make_corpus(
    n_series: int = 1000,
    n_timepoints: int = 512,
    *,
    random_state: int = 0,
) -> ndarray:
    """Draw synthetic series of many kinds.

    Compositions of Gaussian processes, seasons, repeated shapes, events, regimes, chirps,
    oscillators and noise, through random sums, products and causal graphs, then warped, cut,
    stretched and noised, each with mean 0 and standard deviation 1.

    Parameters
    ----------
    n_series : int, default=1000
        Number of series. A longer corpus begins with the shorter one of the same seed.
    n_timepoints : int, default=512
        Time points of each series, at least 16.
    random_state : int, default=0
        Seed.

    Returns
    -------
    ndarray of shape (n_series, n_timepoints), float32
        The series.

    Raises
    ------
    ValueError
        If `n_series` or the seed is negative, or `n_timepoints` below 16.
    TypeError
        If one of them is not an integer.

    See Also
    --------
    iter_corpus : The same series as a stream without end.

    Examples
    --------
    >>> from fei_sklearn.datasets import make_corpus
    >>> make_corpus(10, 128).shape
    (10, 128)
    """
    _check_integer("n_series", n_series, at_least=0)
    stream = iter_corpus(n_timepoints, random_state=random_state)
    out = np.empty((n_series, n_timepoints), dtype=np.float32)
    for start in range(0, n_series, CHUNK):
        rows = out[start : start + CHUNK]
        rows[:] = next(stream)[: len(rows)]
    return out


def iter_corpus(
    n_timepoints: int = 512,
    *,
    random_state: int = 0,
    start: int = 0,
) -> Iterator[ndarray]:
    """Stream the synthetic corpus in chunks, without end.

    Parameters
    ----------
    n_timepoints : int, default=512
        Time points of each series, at least 16.
    random_state : int, default=0
        Seed.
    start : int, default=0
        Chunk to begin with: any part of the stream can be drawn without what comes before.

    Returns
    -------
    iterator of ndarray of shape (256, n_timepoints), float32
        Chunks of series, see :func:`make_corpus`.

    Raises
    ------
    ValueError
        If the seed or `start` is negative, or `n_timepoints` below 16.
    TypeError
        If one of them is not an integer.
    """
    _check_integer("n_timepoints", n_timepoints, at_least=16)
    _check_integer("random_state", random_state, at_least=0)
    _check_integer("start", start, at_least=0)
    return _chunks(n_timepoints, random_state, start)


def _chunks(
    n_timepoints: int,
    seed: int,
    start: int,
) -> Iterator[ndarray]:
    for chunk in count(start):
        rng = np.random.default_rng([seed, chunk])
        series = _draw_chunk(Draws(rng, CHUNK), n_timepoints)
        yield series.astype(np.float32)


def _check_integer(
    name: str,
    value: object,
    at_least: int,
) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {value!r}.")
    if value < at_least:
        raise ValueError(f"{name} must be at least {at_least}, got {value}.")


def _draw_chunk(draws: Draws, length: int) -> ndarray:
    """Draw a chunk on a grid twice as fine, which the warp cuts and stretches to `length`."""
    composed = _compose(draws, 2 * length)
    joined = _join_regimes(draws, composed)
    warped = _warp(draws, joined, length)
    return _measure(draws, warped)


def _compose(draws: Draws, length: int) -> ndarray:
    """Draw sums, products and causal graphs of the processes."""
    terms = [_mixed_processes(draws, length) for _ in range(4)]
    total = _weighted_sum(draws, terms)
    product = terms[0] * terms[1]
    graph = _causal_graph(draws, terms)
    u = draws.uniform()
    is_below = [u < 0.6, u < 0.75]
    composed = np.select(is_below, [total, product], default=graph)
    return standardise(composed)


def _weighted_sum(draws: Draws, terms: list[ndarray]) -> ndarray:
    """Add up the first term and some of the others, each with a random weight."""
    first, *others = draws.rng.standard_normal((4, CHUNK, 1))
    u = draws.rng.random((3, CHUNK, 1))
    is_small = np.abs(first) < 0.5
    weights = [np.where(is_small, 1.0, first)]
    for k, probability in enumerate(PROBABILITIES):
        is_used = u[k] < probability
        weights.append(others[k] * is_used)
    weighted = [w * x for w, x in zip(weights, terms, strict=True)]
    return np.asarray(sum(weighted))


def _mixed_processes(draws: Draws, length: int) -> ndarray:
    """Draw each series of the chunk from a process of its own."""
    weights = np.array(list(PROCESSES.values()))
    probabilities = weights / weights.sum()
    n_processes = len(PROCESSES)
    choice = draws.rng.choice(n_processes, size=CHUNK, p=probabilities)
    series = np.empty((CHUNK, length))
    for k, process in enumerate(PROCESSES):
        rows = np.flatnonzero(choice == k)
        if len(rows):
            own_draws = Draws(draws.rng, len(rows))
            series[rows] = process(own_draws, length)
    return standardise(series)


def _causal_graph(draws: Draws, roots: list[ndarray]) -> ndarray:
    """Return the last node of a random graph.

    Each node is a nonlinear link of two earlier nodes, one of them delayed.
    """
    rng = draws.rng
    nodes = np.stack(roots)
    length = nodes.shape[-1]
    longest_delay = length // 8
    rows = np.arange(CHUNK)
    time = np.arange(length)
    for _ in range(3):
        parents = rng.integers(0, len(nodes), (2, CHUNK))
        first, second = nodes[parents, rows]
        delay = rng.integers(0, longest_delay, (CHUNK, 1))
        delayed_time = np.maximum(time - delay, 0)
        delayed = np.take_along_axis(second, delayed_time, axis=1)
        weights = rng.standard_normal((2, CHUNK, 1))
        mixed = weights[0] * first + weights[1] * delayed
        link = rng.integers(0, len(LINKS), CHUNK)
        for k, function in enumerate(LINKS):
            is_linked = link == k
            mixed[is_linked] = function(mixed[is_linked])
        node = standardise(mixed)
        nodes = np.concatenate([nodes, node[np.newaxis]])
    return np.asarray(nodes[-1])


def _join_regimes(draws: Draws, x: ndarray) -> ndarray:
    """Let some series give way to another at a random time."""
    time = unit_time(x.shape[1])
    change = draws.uniform(0.1, 0.9)
    softness = draws.log_uniform(0.001, 0.2)
    before = (change - time) / softness
    before = np.clip(before, -50.0, 50.0)
    share = 1.0 / (1.0 + np.exp(before))
    order = draws.rng.permutation(CHUNK)
    other = x[order]
    other = other * draws.log_uniform(0.1, 2.0)
    joined = (1.0 - share) * x + share * other
    changes = draws.events(0.2)
    return np.where(changes, joined, x)


def _warp(
    draws: Draws,
    x: ndarray,
    length: int,
) -> ndarray:
    """Cut a random segment of each series and stretch it, some at a wandering pace."""
    is_whole = draws.events(0.5)
    duration = draws.log_uniform(0.25, 1.0)
    duration = np.where(is_whole, 1.0, duration)
    begin = draws.uniform() * (1.0 - duration)
    wander = standardise(smooth(draws, length))
    pace = np.exp(0.5 * wander)
    wanders = draws.events(0.3)
    pace = np.where(wanders, pace, 1.0)
    time = np.cumsum(pace, axis=1)
    start = time[:, :1]
    end = time[:, -1:]
    time = (time - start) / (end - start)
    last = x.shape[1] - 1
    positions = (begin + duration * time) * last
    return resample(x, positions)


def _measure(draws: Draws, x: ndarray) -> ndarray:
    """Measure a signal as a sensor does: with noise, saturation, coarse steps and a sign."""
    x = standardise(x)
    x = x + _sensor_noise(draws, x.shape[1])
    saturates = draws.events(0.1)
    limit = draws.uniform(0.5, 2.0)
    limit = np.where(saturates, limit, np.inf)
    x = np.clip(x, -limit, limit)
    grid = draws.uniform(0.05, 0.5)
    is_coarse = draws.events(0.05)
    rounded = np.round(x / grid) * grid
    x = np.where(is_coarse, rounded, x)
    is_upright = draws.events(0.5)
    sign = np.where(is_upright, 1.0, -1.0)
    return standardise(x * sign)


def _sensor_noise(draws: Draws, length: int) -> ndarray:
    coloured = standardise(coloured_noise(draws, length))
    white = standardise(draws.normal((length,)))
    is_white = draws.events(0.6)
    noise = np.where(is_white, white, coloured)
    level = draws.log_uniform(0.003, 1.0)
    is_noisy = draws.events(0.6)
    scaled: ndarray = level * is_noisy * noise
    return scaled
