"""A synthetic corpus to pretrain on, which anyone can draw again from its seed.

In the manner of KernelSynth (Ansari et al., "Chronos: Learning the Language of Time Series", TMLR
2024), which composes Gaussian processes, of ForecastPFN (Dooley et al., NeurIPS 2023), which adds
up trends, seasons and noise, and of CauKer (Xie et al., "CauKer: Classification Time Series
Foundation Models Can Be Pretrained on Synthetic Data Only", 2025), which sends Gaussian processes
through causal graphs with nonlinear links.
"""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral

import numpy as np

from fei_sklearn.datasets.corpus_processes import (
    LINKS,
    PROCESSES,
    coloured_noise,
    log_uniform,
    resample,
    smooth,
    standardise,
)

#: Series that are drawn together; each chunk of a stream has a generator of its own.
CHUNK = 256


def make_corpus(
    n_series: int = 1000, n_timepoints: int = 512, *, random_state: int = 0
) -> np.ndarray:
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
    n_timepoints: int = 512, *, random_state: int = 0, start: int = 0
) -> Iterator[np.ndarray]:
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


def _chunks(n_timepoints: int, seed: int, chunk: int) -> Iterator[np.ndarray]:
    while True:
        yield _draw(np.random.default_rng([seed, chunk]), n_timepoints).astype(np.float32)
        chunk += 1


def _check_integer(name: str, value: object, at_least: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {value!r}.")
    if value < at_least:
        raise ValueError(f"{name} must be at least {at_least}, got {value}.")


def _draw(rng: np.random.Generator, length: int) -> np.ndarray:
    """One chunk, drawn on a finer grid that the last warp cuts and stretches."""
    fine = 2 * length
    x = _compose(rng, fine)
    x = _in_turn(rng, x)
    x = _warped(rng, x, length)
    return _measured(rng, x)


def _compose(rng: np.random.Generator, length: int) -> np.ndarray:
    """Sums, products and causal graphs of the processes."""
    parts = [_mixed_processes(rng, length) for _ in range(4)]
    weights = rng.standard_normal((4, CHUNK, 1))
    weights[1:] *= rng.random((3, CHUNK, 1)) < np.array([0.6, 0.3, 0.15])[:, None, None]
    weights[0] = np.where(np.abs(weights[0]) < 0.5, 1.0, weights[0])
    added = sum(w * p for w, p in zip(weights, parts, strict=True))
    product = parts[0] * parts[1]
    graph = _causal_graph(rng, parts)
    way = rng.random((CHUNK, 1))
    return standardise(np.select([way < 0.6, way < 0.75], [added, product], graph))


def _mixed_processes(rng: np.random.Generator, length: int) -> np.ndarray:
    """Each series of the chunk from a process of its own."""
    shares = np.array(list(PROCESSES.values()))
    choice = rng.choice(len(shares), size=CHUNK, p=shares / shares.sum())
    out = np.empty((CHUNK, length))
    for k, process in enumerate(PROCESSES):
        rows = np.flatnonzero(choice == k)
        if len(rows):
            out[rows] = process(rng, len(rows), length)
    return standardise(out)


def _causal_graph(rng: np.random.Generator, roots: list[np.ndarray]) -> np.ndarray:
    """The last node of a random graph: each node is a link of two earlier ones, one delayed."""
    nodes = np.stack(roots)
    length = nodes.shape[-1]
    rows = np.arange(CHUNK)
    time = np.arange(length)
    for _ in range(3):
        first, second = rng.integers(0, len(nodes), (2, CHUNK))
        delay = rng.integers(0, length // 8, (CHUNK, 1))
        late = np.take_along_axis(nodes[second, rows], np.maximum(time - delay, 0), axis=1)
        weight = rng.standard_normal((2, CHUNK, 1))
        mixed = weight[0] * nodes[first, rows] + weight[1] * late
        link = rng.integers(0, len(LINKS), CHUNK)
        for k, function in enumerate(LINKS):
            mixed[link == k] = function(mixed[link == k])
        nodes = np.concatenate([nodes, standardise(mixed)[np.newaxis]])
    return np.asarray(nodes[-1])


def _in_turn(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """Some series change their regime: one gives way to another at a random time."""
    time = np.linspace(0.0, 1.0, x.shape[1])
    change = rng.uniform(0.1, 0.9, (CHUNK, 1))
    softness = log_uniform(rng, 0.001, 0.2, (CHUNK, 1))
    share = 1.0 / (1.0 + np.exp(np.clip((change - time) / softness, -50.0, 50.0)))
    other = x[rng.permutation(CHUNK)] * log_uniform(rng, 0.1, 2.0, (CHUNK, 1))
    joined = (1.0 - share) * x + share * other
    return np.where(rng.random((CHUNK, 1)) < 0.2, joined, x)


def _warped(rng: np.random.Generator, x: np.ndarray, length: int) -> np.ndarray:
    """Cut a random part of each series, stretch it to `length`, some with a wandering pace."""
    fine = x.shape[1]
    part = np.where(rng.random((CHUNK, 1)) < 0.5, 1.0, log_uniform(rng, 0.25, 1.0, (CHUNK, 1)))
    begin = rng.random((CHUNK, 1)) * (1.0 - part)
    pace = np.exp(0.5 * standardise(smooth(rng, CHUNK, length)))
    pace = np.where(rng.random((CHUNK, 1)) < 0.3, pace, 1.0)
    time = np.cumsum(pace, axis=1)
    time = (time - time[:, :1]) / (time[:, -1:] - time[:, :1])
    return resample(x, (begin + part * time) * (fine - 1))


def _measured(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """What a sensor does to a signal: noise, saturation, coarse steps, a sign."""
    x = standardise(x)
    noise = standardise(coloured_noise(rng, CHUNK, x.shape[1]))
    white = standardise(rng.standard_normal(x.shape))
    noise = np.where(rng.random((CHUNK, 1)) < 0.6, white, noise)
    level = log_uniform(rng, 0.003, 1.0, (CHUNK, 1)) * (rng.random((CHUNK, 1)) < 0.6)
    x = x + level * noise
    limit = np.where(rng.random((CHUNK, 1)) < 0.1, rng.uniform(0.5, 2.0, (CHUNK, 1)), np.inf)
    x = np.clip(x, -limit, limit)
    grid = rng.uniform(0.05, 0.5, (CHUNK, 1))
    x = np.where(rng.random((CHUNK, 1)) < 0.05, np.round(x / grid) * grid, x)
    return standardise(x * np.where(rng.random((CHUNK, 1)) < 0.5, 1.0, -1.0))
