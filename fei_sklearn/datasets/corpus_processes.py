"""Random processes that the synthetic corpus is composed of.

Every function draws `n` series of `length` points, of any level and scale, from a NumPy generator.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Process = Callable[[np.random.Generator, int, int], np.ndarray]

#: Nonlinear links of a causal mixture.
LINKS: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    lambda x: x,
    np.tanh,
    np.abs,
    lambda x: np.sin(2.0 * x),
    lambda x: np.maximum(x, 0.0),
    lambda x: x * np.tanh(x),
    lambda x: np.round(2.0 * x) / 2.0,
)


def log_uniform(
    rng: np.random.Generator, low: float, high: float, size: tuple[int, ...]
) -> np.ndarray:
    """Draws whose logarithm is uniform."""
    draws: np.ndarray = np.exp(rng.uniform(np.log(low), np.log(high), size))
    return draws


def standardise(x: np.ndarray) -> np.ndarray:
    """Each row with mean 0 and standard deviation 1; a constant row becomes 0."""
    x = x - x.mean(axis=-1, keepdims=True)
    scale = x.std(axis=-1, keepdims=True)
    out: np.ndarray = np.divide(x, scale, out=np.zeros_like(x), where=scale > 1e-8)
    return out


def resample(x: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Rows of `x` at real positions along them, by linear interpolation."""
    last = x.shape[-1] - 1
    positions = np.clip(positions, 0.0, last)
    left = np.minimum(positions.astype(np.int64), last - 1)
    weight = positions - left
    low = np.take_along_axis(x, left, axis=-1)
    out: np.ndarray = low + weight * (np.take_along_axis(x, left + 1, axis=-1) - low)
    return out


def smooth(rng: np.random.Generator, n: int, length: int) -> np.ndarray:
    """Gaussian processes with a squared-exponential or rational-quadratic like spectrum.

    Drawn on twice the length, by shaping the spectrum of white noise, and cut to one half, so that
    the ends do not meet.
    """
    frequency = np.fft.rfftfreq(2 * length)
    scale = length * log_uniform(rng, 0.004, 0.5, (n, 1))
    shape = (2.0 * np.pi * scale * frequency) ** 2
    heavy_tailed = rng.random((n, 1)) < 0.4
    order = rng.uniform(0.6, 2.5, (n, 1))
    amplitude = np.where(heavy_tailed, (1.0 + shape) ** (-order / 2.0), np.exp(-shape / 4.0))
    return _shaped_noise(rng, amplitude, 2 * length)[:, :length]


def coloured_noise(rng: np.random.Generator, n: int, length: int) -> np.ndarray:
    """Noise with a power-law spectrum, from white to a random walk."""
    frequency = np.fft.rfftfreq(2 * length)
    frequency[0] = frequency[1]
    amplitude = frequency ** -rng.uniform(0.0, 1.2, (n, 1))
    return _shaped_noise(rng, amplitude, 2 * length)[:, :length]


def _shaped_noise(rng: np.random.Generator, amplitude: np.ndarray, length: int) -> np.ndarray:
    spectrum = rng.standard_normal((*amplitude.shape, 2)) @ np.array([1.0, 1.0j])
    return np.fft.irfft(amplitude * spectrum, n=length)


def autoregression(rng: np.random.Generator, n: int, length: int) -> np.ndarray:
    """Stationary autoregressions of order 2 with a resonance, through their transfer function."""
    radius = 1.0 - log_uniform(rng, 0.003, 0.5, (n, 1))
    angle = np.pi * log_uniform(rng, 0.005, 1.0, (n, 1))
    shift = np.exp(-2.0j * np.pi * np.fft.rfftfreq(2 * length))
    poles = 1.0 - 2.0 * radius * np.cos(angle) * shift + (radius * shift) ** 2
    return _shaped_noise(rng, 1.0 / np.abs(poles), 2 * length)[:, :length]


def harmonics(rng: np.random.Generator, n: int, length: int) -> np.ndarray:
    """Sums of harmonics of one period, such as seasons, outlines and tones."""
    n_harmonics = 8
    order = np.arange(1, n_harmonics + 1)[:, np.newaxis]
    cycles = log_uniform(rng, 0.5, length / 8.0, (n, 1, 1))
    decay = order ** -rng.uniform(0.5, 2.5, (n, 1, 1))
    amplitude = decay * rng.standard_normal((n, n_harmonics, 1))
    amplitude *= order * cycles < length / 2.5  # no aliases
    phase = rng.uniform(0.0, 2.0 * np.pi, (n, n_harmonics, 1))
    time = np.linspace(0.0, 1.0, length)
    waves = amplitude * np.sin(2.0 * np.pi * order * cycles * time + phase)
    out: np.ndarray = waves.sum(axis=1)
    return out


def repeated_shapes(rng: np.random.Generator, n: int, length: int) -> np.ndarray:
    """A shape of a few bumps, repeated with a wandering period and a wandering amplitude."""
    template = bumps(rng, n, 128)
    cycles = log_uniform(rng, 1.0, length / 16.0, (n, 1))
    wander = standardise(smooth(rng, n, length)) * log_uniform(rng, 0.01, 0.5, (n, 1))
    phase = cycles * np.linspace(0.0, 1.0, length) + wander + rng.random((n, 1))
    strength = 1.0 + standardise(smooth(rng, n, length)) * rng.uniform(0.0, 0.4, (n, 1))
    out: np.ndarray = strength * resample(template, 127.0 * (phase % 1.0))
    return out


def bumps(rng: np.random.Generator, n: int, length: int) -> np.ndarray:
    """A few bumps of random place, width, sign and form: bells, boxes, ramps and decays."""
    n_bumps = 6
    time = np.linspace(0.0, 1.0, length)
    centre = rng.random((n, n_bumps, 1))
    width = log_uniform(rng, 0.005, 0.3, (n, n_bumps, 1))
    height = rng.standard_normal((n, n_bumps, 1))
    height *= rng.random((n, n_bumps, 1)) < rng.uniform(0.2, 1.0, (n, 1, 1))
    z = (time - centre) / width
    inside = np.abs(z) < 1.0
    form = rng.integers(0, 5, (n, n_bumps, 1))
    values = np.select(
        [form == 0, form == 1, form == 2, form == 3],
        [
            np.exp(-(z**2)),
            inside.astype(float),
            inside * (z + 1.0) / 2.0,
            np.maximum(1.0 - np.abs(z), 0.0),
        ],
        (z > 0) * np.exp(-np.maximum(z, 0.0)),
    )
    out: np.ndarray = (height * values).sum(axis=1)
    return out


def pieces(rng: np.random.Generator, n: int, length: int) -> np.ndarray:
    """Piecewise constant or piecewise linear levels."""
    n_pieces = 24
    keep = rng.random((n, n_pieces)) < rng.uniform(0.05, 0.9, (n, 1))
    ends = np.sort(rng.random((n, n_pieces)), axis=1)
    levels = np.cumsum(keep * rng.standard_normal((n, n_pieces)), axis=1)
    bounded = rng.random((n, 1)) < 0.5
    levels = np.where(bounded, np.sin(levels), levels)
    time = np.linspace(0.0, 1.0, length)
    piece = (time[:, np.newaxis] > ends[:, np.newaxis]).sum(axis=2)
    steps = np.take_along_axis(levels, np.minimum(piece, n_pieces - 1), axis=1)
    knots = resample(levels, np.broadcast_to(time * (n_pieces - 1), (n, length)))
    return np.where(rng.random((n, 1)) < 0.5, steps, knots)


def chirps(rng: np.random.Generator, n: int, length: int) -> np.ndarray:
    """Oscillations whose frequency drifts and whose amplitude grows, decays or beats."""
    time = np.linspace(0.0, 1.0, length)
    start = log_uniform(rng, 1.0, length / 5.0, (n, 1))
    end = log_uniform(rng, 1.0, length / 5.0, (n, 1))
    cycles = start * time + (end - start) * time**2 / 2.0
    envelope = np.exp(rng.normal(0.0, 2.0, (n, 1)) * time)
    beat = 1.0 + rng.random((n, 1)) * np.sin(
        2.0 * np.pi * (log_uniform(rng, 0.5, 12.0, (n, 1)) * time + rng.random((n, 1)))
    )
    wave = np.sin(2.0 * np.pi * (cycles + rng.random((n, 1))))
    square = rng.random((n, 1)) < 0.2
    out: np.ndarray = envelope * beat * np.where(square, np.sign(wave), wave)
    return out


def oscillators(rng: np.random.Generator, n: int, length: int) -> np.ndarray:
    """Nonlinear oscillators of van der Pol with drive and noise, integrated by Euler's method."""
    cycles = log_uniform(rng, 1.0, length / 24.0, (n,))
    step = 2.0 * np.pi * cycles / length / 4.0
    stiffness = rng.uniform(0.0, 3.0, n)
    drive, drive_rate = rng.uniform(0.0, 2.0, n), rng.uniform(0.2, 3.0, n)
    noise = log_uniform(rng, 0.01, 1.0, (n,))
    x, v = rng.standard_normal(n), rng.standard_normal(n)
    out = np.empty((length, n))
    for i in range(length):
        kick = noise * rng.standard_normal(n)
        for sub in range(4):
            force = drive * np.sin(drive_rate * step * (4 * i + sub)) + kick
            v = np.clip(v + step * (stiffness * (1.0 - x**2) * v - x + force), -20.0, 20.0)
            x = np.clip(x + step * v, -20.0, 20.0)
        out[i] = x
    return out.T


def counts(rng: np.random.Generator, n: int, length: int) -> np.ndarray:
    """On and off states with a level of their own each, such as the loads of a household."""
    stay = log_uniform(rng, 0.005, 0.2, (n, 1))
    switches = rng.random((n, length)) < stay
    state = np.cumsum(switches, axis=1) % 3
    levels = rng.standard_normal((n, 3)) * (rng.random((n, 3)) < 0.8)
    spikes = (rng.random((n, length)) < stay / 2.0) * rng.standard_normal((n, length)) * 2.0
    return np.take_along_axis(levels, state, axis=1) + spikes * (rng.random((n, 1)) < 0.3)


#: Processes and how often each is drawn.
PROCESSES: dict[Process, float] = {
    smooth: 4.0,
    coloured_noise: 1.5,
    autoregression: 1.5,
    harmonics: 3.0,
    repeated_shapes: 3.0,
    bumps: 3.0,
    pieces: 2.0,
    chirps: 1.5,
    oscillators: 1.0,
    counts: 1.0,
}
