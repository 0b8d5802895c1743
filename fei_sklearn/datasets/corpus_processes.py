"""Random processes that the synthetic corpus is composed of.

The order of the draws is part of every process: the bundled checkpoints rest on the series that a
seed gives, so a draw must not move, appear or disappear.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy import ndarray
from numpy.random import Generator

TWO_PI = 2.0 * np.pi

Shape: TypeAlias = tuple[int, ...]
Link: TypeAlias = Callable[[ndarray], ndarray]

#: Nonlinear links of a causal graph.
LINKS: tuple[Link, ...] = (
    lambda x: x,
    np.tanh,
    np.abs,
    lambda x: np.sin(2.0 * x),
    lambda x: np.maximum(x, 0.0),
    lambda x: x * np.tanh(x),
    lambda x: np.round(2.0 * x) / 2.0,
)


#: One number per series, which broadcasts along the time axis.
COLUMN: Shape = (1,)


@dataclass(frozen=True)
class Draws:
    """Source of random numbers for a number of series.

    Every method returns an array of shape ``(n, *shape)``, a row per series. The default shape
    gives a column of one number per series, which broadcasts along the time axis.

    Attributes
    ----------
    rng : numpy.random.Generator
        Generator of the numbers.
    n : int
        Number of series.
    """

    rng: Generator
    n: int

    def uniform(
        self,
        low: float = 0.0,
        high: float = 1.0,
        shape: Shape = COLUMN,
    ) -> ndarray:
        """Draw from the uniform distribution over [low, high)."""
        return self.rng.uniform(low, high, (self.n, *shape))

    def log_uniform(
        self,
        low: float,
        high: float,
        shape: Shape = COLUMN,
    ) -> ndarray:
        """Draw numbers whose logarithm is uniform between those of `low` and `high`."""
        return log_uniform(self.rng, low, high, (self.n, *shape))

    def normal(self, shape: Shape = COLUMN) -> ndarray:
        """Draw from the standard normal distribution."""
        return self.rng.standard_normal((self.n, *shape))

    def events(self, probability: float, shape: Shape = COLUMN) -> ndarray:
        """Draw booleans that are true with the given probability."""
        return self.rng.random((self.n, *shape)) < probability


Process: TypeAlias = Callable[[Draws, int], ndarray]


def unit_time(length: int) -> ndarray:
    """Return a grid of time from 0 to 1, both included."""
    return np.linspace(0.0, 1.0, length)


def log_uniform(
    rng: Generator,
    low: float,
    high: float,
    size: Shape,
) -> ndarray:
    """Draw numbers whose logarithm is uniform.

    Parameters
    ----------
    rng : numpy.random.Generator
        Generator of the numbers.
    low, high : float
        Bounds of the numbers, both positive.
    size : tuple of int
        Shape of the result.

    Returns
    -------
    ndarray of shape `size`, float64
        The numbers.
    """
    lowest = np.log(low)
    highest = np.log(high)
    exponents = rng.uniform(lowest, highest, size)
    numbers: ndarray = np.exp(exponents)
    return numbers


def standardise(x: ndarray) -> ndarray:
    """Return each row with mean 0 and standard deviation 1; a constant row becomes 0.

    Parameters
    ----------
    x : ndarray of shape (..., n_timepoints), float
        Series along the last axis.

    Returns
    -------
    ndarray of the same shape
        The standardised series.
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    scale = centred.std(axis=-1, keepdims=True)
    standardised: ndarray = np.zeros_like(centred)
    varies = scale > 1e-8
    np.divide(centred, scale, out=standardised, where=varies)
    return standardised


def resample(x: ndarray, positions: ndarray) -> ndarray:
    """Return values between the points of each row, by linear interpolation.

    Parameters
    ----------
    x : ndarray of shape (n, length), float
        Series.
    positions : ndarray of shape (n, n_timepoints), float
        Places along each row, in points; places outside the row count as its ends.

    Returns
    -------
    ndarray of shape (n, n_timepoints)
        The interpolated values.
    """
    last = x.shape[-1] - 1
    positions = np.clip(positions, 0.0, last)
    floor = positions.astype(np.int64)
    left = np.minimum(floor, last - 1)
    right = left + 1
    weight = positions - left
    before = np.take_along_axis(x, left, axis=-1)
    after = np.take_along_axis(x, right, axis=-1)
    values: ndarray = before + weight * (after - before)
    return values


def smooth(draws: Draws, length: int) -> ndarray:
    """Draw smooth Gaussian processes.

    Their spectrum is like that of a squared-exponential or a rational-quadratic kernel.
    """
    frequency = _frequencies(length)
    scale = length * draws.log_uniform(0.004, 0.5)
    angle = TWO_PI * scale * frequency
    squared = angle**2
    is_heavy_tailed = draws.events(0.4)
    order = draws.uniform(0.6, 2.5)
    exponent = -order / 2.0
    heavy_tail = (1.0 + squared) ** exponent
    light_tail = np.exp(-squared / 4.0)
    amplitude = np.where(is_heavy_tailed, heavy_tail, light_tail)
    return _shaped_noise(draws, amplitude, length)


def coloured_noise(draws: Draws, length: int) -> ndarray:
    """Draw noise with a power-law spectrum, from white noise to a random walk."""
    frequency = _frequencies(length)
    frequency[0] = frequency[1]
    exponent = draws.uniform(0.0, 1.2)
    amplitude = frequency**-exponent
    return _shaped_noise(draws, amplitude, length)


def autoregression(draws: Draws, length: int) -> ndarray:
    """Draw stationary autoregressions of order 2 with a resonance, by their transfer function."""
    radius = 1.0 - draws.log_uniform(0.003, 0.5)
    angle = np.pi * draws.log_uniform(0.005, 1.0)
    frequency = _frequencies(length)
    shift = np.exp(-2.0j * np.pi * frequency)
    first_order = 2.0 * radius * np.cos(angle) * shift
    second_order = (radius * shift) ** 2
    poles = 1.0 - first_order + second_order
    amplitude = 1.0 / np.abs(poles)
    return _shaped_noise(draws, amplitude, length)


def _frequencies(length: int) -> ndarray:
    """Return the frequencies of a real series of twice the length."""
    return np.fft.rfftfreq(2 * length)


def _shaped_noise(
    draws: Draws,
    amplitude: ndarray,
    length: int,
) -> ndarray:
    """Draw white noise, give its spectrum an amplitude, and return half of the series.

    The series is periodic. A half of it is not, so the ends of the result do not meet.
    """
    n_frequencies = amplitude.shape[1]
    real_and_imaginary = draws.normal((n_frequencies, 2))
    white = real_and_imaginary @ np.array([1.0, 1.0j])
    spectrum = amplitude * white
    noise: ndarray = np.fft.irfft(spectrum, n=2 * length)
    return noise[:, :length]


def harmonics(draws: Draws, length: int) -> ndarray:
    """Draw sums of harmonics of one period, such as seasons, outlines and tones."""
    n_harmonics = 8
    column = (n_harmonics, 1)
    order = np.arange(1, n_harmonics + 1).reshape(column)
    most_cycles = length / 8.0
    cycles = draws.log_uniform(0.5, most_cycles, (1, 1))
    exponent = draws.uniform(0.5, 2.5, (1, 1))
    decay = order**-exponent
    amplitude = decay * draws.normal(column)
    all_cycles = order * cycles
    has_no_alias = all_cycles < length / 2.5
    amplitude *= has_no_alias
    phase = draws.uniform(0.0, TWO_PI, column)
    time = unit_time(length)
    angle = TWO_PI * order * cycles * time + phase
    waves = amplitude * np.sin(angle)
    series: ndarray = waves.sum(axis=1)
    return series


def repeated_shapes(draws: Draws, length: int) -> ndarray:
    """Draw a shape of a few bumps, repeated with a wandering period and amplitude."""
    n_points = 128
    shape = bumps(draws, n_points)
    most_cycles = length / 16.0
    cycles = draws.log_uniform(1.0, most_cycles)
    wander = _wander(draws, length)
    wander = wander * draws.log_uniform(0.01, 0.5)
    time = unit_time(length)
    start = draws.uniform()
    phase = cycles * time + wander + start
    fluctuation = _wander(draws, length)
    fluctuation = fluctuation * draws.uniform(0.0, 0.4)
    strength = 1.0 + fluctuation
    cycle_share = phase % 1.0
    positions = (n_points - 1.0) * cycle_share
    repeated: ndarray = strength * resample(shape, positions)
    return repeated


def _wander(draws: Draws, length: int) -> ndarray:
    return standardise(smooth(draws, length))


def bumps(draws: Draws, length: int) -> ndarray:
    """Draw a few bumps of random place, width, sign and form."""
    n_bumps = 6
    column = (n_bumps, 1)
    time = unit_time(length)
    centre = draws.uniform(shape=column)
    width = draws.log_uniform(0.005, 0.3, column)
    height = draws.normal(column)
    rank = draws.uniform(shape=column)
    kept_share = draws.uniform(0.2, 1.0, (1, 1))
    height *= rank < kept_share
    form = draws.rng.integers(0, 5, (draws.n, *column))
    z = (time - centre) / width
    values = height * _bump_values(z, form)
    series: ndarray = values.sum(axis=1)
    return series


def _bump_values(z: ndarray, form: ndarray) -> ndarray:
    """Return the values of bells, boxes, ramps, triangles and decays, at `z` widths."""
    distance = np.abs(z)
    is_inside = distance < 1.0
    bell = np.exp(-(z**2))
    box = is_inside.astype(float)
    ramp = is_inside * (z + 1.0) / 2.0
    triangle = np.maximum(1.0 - distance, 0.0)
    is_after = z > 0
    time_after = np.maximum(z, 0.0)
    decay = is_after * np.exp(-time_after)
    is_form = [form == k for k in range(4)]
    forms = [bell, box, ramp, triangle]
    return np.select(is_form, forms, default=decay)


def pieces(draws: Draws, length: int) -> ndarray:
    """Draw piecewise constant or piecewise linear levels."""
    n_pieces = 24
    last = n_pieces - 1
    row = (n_pieces,)
    rank = draws.uniform(shape=row)
    kept_share = draws.uniform(0.05, 0.9)
    is_kept = rank < kept_share
    ends = draws.uniform(shape=row)
    ends = np.sort(ends, axis=1)
    jumps = is_kept * draws.normal(row)
    levels = np.cumsum(jumps, axis=1)
    is_bounded = draws.events(0.5)
    bounded = np.sin(levels)
    levels = np.where(is_bounded, bounded, levels)
    time = unit_time(length)
    is_over = time[:, np.newaxis] > ends[:, np.newaxis]
    n_over = is_over.sum(axis=2)
    piece = np.minimum(n_over, last)
    steps = np.take_along_axis(levels, piece, axis=1)
    positions = np.broadcast_to(time * last, steps.shape)
    ramps = resample(levels, positions)
    has_steps = draws.events(0.5)
    return np.where(has_steps, steps, ramps)


def chirps(draws: Draws, length: int) -> ndarray:
    """Draw oscillations with a drifting frequency and a growing, decaying or beating amplitude."""
    time = unit_time(length)
    most_cycles = length / 5.0
    start = draws.log_uniform(1.0, most_cycles)
    end = draws.log_uniform(1.0, most_cycles)
    drift = (end - start) * time**2 / 2.0
    cycles = start * time + drift
    growth = 2.0 * draws.normal()
    envelope = np.exp(growth * time)
    beat = _beat(draws, time)
    phase = draws.uniform()
    angle = TWO_PI * (cycles + phase)
    sine = np.sin(angle)
    square = np.sign(sine)
    is_square = draws.events(0.2)
    wave = np.where(is_square, square, sine)
    chirp: ndarray = envelope * beat * wave
    return chirp


def _beat(draws: Draws, time: ndarray) -> ndarray:
    depth = draws.uniform()
    cycles = draws.log_uniform(0.5, 12.0)
    phase = draws.uniform()
    angle = TWO_PI * (cycles * time + phase)
    beat: ndarray = 1.0 + depth * np.sin(angle)
    return beat


def oscillators(draws: Draws, length: int) -> ndarray:
    """Draw van der Pol oscillators with drive and noise, integrated by Euler's method."""
    substeps = 4
    bound = 20.0
    most_cycles = length / 24.0
    cycles = draws.log_uniform(1.0, most_cycles, ())
    step = TWO_PI * cycles / length / substeps
    stiffness = draws.uniform(0.0, 3.0, ())
    drive = draws.uniform(0.0, 2.0, ())
    drive_rate = draws.uniform(0.2, 3.0, ())
    noise = draws.log_uniform(0.01, 1.0, ())
    place = draws.normal(())
    speed = draws.normal(())
    places = np.empty((length, draws.n))
    for i in range(length):
        kick = noise * draws.normal(())
        for substep in range(substeps):
            angle = drive_rate * step * (substeps * i + substep)
            force = drive * np.sin(angle) + kick
            friction = stiffness * (1.0 - place**2) * speed
            acceleration = friction - place + force
            speed = speed + step * acceleration
            speed = np.clip(speed, -bound, bound)
            place = place + step * speed
            place = np.clip(place, -bound, bound)
        places[i] = place
    return places.T


def counts(draws: Draws, length: int) -> ndarray:
    """Draw states with a level each and spikes, such as the loads of a household."""
    n_states = 3
    rate = draws.log_uniform(0.005, 0.2)
    row = (length,)
    is_switch = draws.uniform(shape=row) < rate
    state = np.cumsum(is_switch, axis=1) % n_states
    levels = draws.normal((n_states,))
    levels = levels * draws.events(0.8, (n_states,))
    spike_rate = rate / 2.0
    is_spike = draws.uniform(shape=row) < spike_rate
    spikes = is_spike * draws.normal(row) * 2.0
    has_spikes = draws.events(0.3)
    steps = np.take_along_axis(levels, state, axis=1)
    loads: ndarray = steps + spikes * has_spikes
    return loads


#: Processes and their relative frequencies in the corpus.
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
