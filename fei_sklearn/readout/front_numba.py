"""Statistics of a bank of dilated convolutions on the CPU, in one pass over a row.

Taps are multiplied and added one after the other, and never fused, here and in
:mod:`fei_sklearn.readout.front_torch`: a value of a map has the same bits in both, for any number
of rows and threads. So have its maximum and all counts.
"""

from __future__ import annotations

import numpy as np

from fei_sklearn.encoder.layout import KERNELS_PER_GROUP
from fei_sklearn.readout.compiling import compiled, inlined, internal
from fei_sklearn.readout.spec import FLAT_BAND, FRONT_STATISTICS

FLAT = np.float32(FLAT_BAND)

#: Values of the widest registers, AVX-512's.
LANES = 16

N_STATISTICS = sum(FRONT_STATISTICS.values())

#: Deviations from the mean at which a feature is cut before it is projected.
CLIP = np.float32(8.0)


@compiled()
def write_features(
    seen,
    lengths,
    kernels,
    dilations,
    thresholds,
    features,
):
    """Write the statistics of all kernels over rows of a view.

    Parameters
    ----------
    seen : ndarray of shape (n_samples, n_timepoints), float32
        View of the series.
    lengths : ndarray of shape (n_samples,), int64
        Steps of each row, at least 1; what follows is never read.
    kernels : ndarray of shape (n_dilations, n_kernels, 9), float32
        Kernels, in groups of eight.
    dilations : ndarray of shape (n_dilations,), int64
        Steps between the taps.
    thresholds : ndarray of shape (4, n_dilations * n_kernels), float32
        Thresholds of "ppv".
    features : ndarray of shape (n_samples, 7, n_dilations * n_kernels), float32
        Array that receives the statistics.
    """
    n_dilations, n_kernels, n_taps = kernels.shape
    widest = 0
    for index in range(n_dilations):
        # not the method max(), which takes 0.4 s to compile
        widest = max(widest, (n_taps - 1) * dilations[index])
    most_steps = _rounded_up(seen.shape[1])
    padded = np.empty(most_steps + widest, dtype=np.float32)
    maps = np.empty((KERNELS_PER_GROUP, most_steps), dtype=np.float32)
    lowest = np.empty(most_steps, dtype=np.float32)
    highest = np.empty(most_steps, dtype=np.float32)
    totals = np.empty((N_STATISTICS, n_dilations * n_kernels), dtype=np.float32)
    for row in range(len(seen)):
        length = lengths[row]
        n_steps = _rounded_up(length)
        for index in range(n_dilations):
            dilation = dilations[index]
            _pad(seen[row], length, n_steps, n_taps // 2 * dilation, padded)
            for first in range(0, n_kernels, KERNELS_PER_GROUP):
                group = kernels[index, first : first + KERNELS_PER_GROUP]
                for kernel in range(0, KERNELS_PER_GROUP, 2):
                    pair = slice(kernel, kernel + 2)
                    _convolve_pair(padded, n_steps, dilation, group[pair], maps[pair])
                _write_extremes(maps, n_steps, lowest, highest)
                _hide(maps, lowest, highest, length, n_steps)
                channel = index * n_kernels + first
                _write_totals(
                    maps,
                    n_steps,
                    lowest,
                    highest,
                    thresholds,
                    channel,
                    totals,
                )
        _write_means(totals, np.float32(length), features[row])


@inlined
def _rounded_up(length):
    """Return the steps that are computed: a last register that is not full takes longer."""
    return -(-length // LANES) * LANES


@inlined
def _pad(
    series,
    length,
    n_steps,
    margin,
    padded,
):
    """Write a row between two margins of zeros, the second one from the row's end."""
    for step in range(margin):
        padded[step] = np.float32(0.0)
    for step in range(length):
        padded[margin + step] = series[step]
    for step in range(length, n_steps + margin):
        padded[margin + step] = np.float32(0.0)


@inlined
def _hide(
    maps,
    lowest,
    highest,
    length,
    n_steps,
):
    """Give the steps after the end of a row values that no statistic counts."""
    for step in range(length, n_steps):
        lowest[step] = np.float32(0.0)
        highest[step] = np.float32(0.0)
        for kernel in range(KERNELS_PER_GROUP):
            maps[kernel, step] = -np.float32(np.inf)


@inlined
def _convolve_pair(padded, length, dilation, kernels, maps):
    """Write the maps of two kernels, which share the loads of a row."""
    v0 = kernels[0, 0]
    v1 = kernels[0, 1]
    v2 = kernels[0, 2]
    v3 = kernels[0, 3]
    v4 = kernels[0, 4]
    v5 = kernels[0, 5]
    v6 = kernels[0, 6]
    v7 = kernels[0, 7]
    v8 = kernels[0, 8]
    w0 = kernels[1, 0]
    w1 = kernels[1, 1]
    w2 = kernels[1, 2]
    w3 = kernels[1, 3]
    w4 = kernels[1, 4]
    w5 = kernels[1, 5]
    w6 = kernels[1, 6]
    w7 = kernels[1, 7]
    w8 = kernels[1, 8]
    x0 = padded
    x1 = padded[1 * dilation :]
    x2 = padded[2 * dilation :]
    x3 = padded[3 * dilation :]
    x4 = padded[4 * dilation :]
    x5 = padded[5 * dilation :]
    x6 = padded[6 * dilation :]
    x7 = padded[7 * dilation :]
    x8 = padded[8 * dilation :]
    first = maps[0]
    second = maps[1]
    for t in range(length):
        # loaded once, because the compiler reloads after a store
        y0 = x0[t]
        y1 = x1[t]
        y2 = x2[t]
        y3 = x3[t]
        y4 = x4[t]
        y5 = x5[t]
        y6 = x6[t]
        y7 = x7[t]
        y8 = x8[t]
        v = ((v0 * y0 + v1 * y1) + v2 * y2) + v3 * y3
        v = ((v + v4 * y4) + v5 * y5) + v6 * y6
        first[t] = (v + v7 * y7) + v8 * y8
        w = ((w0 * y0 + w1 * y1) + w2 * y2) + w3 * y3
        w = ((w + w4 * y4) + w5 * y5) + w6 * y6
        second[t] = (w + w7 * y7) + w8 * y8


@inlined
def _write_extremes(
    maps,
    length,
    lowest,
    highest,
):
    """Write the lowest and highest value of a group at each step, outside the flat band."""
    for step in range(length):
        least = -FLAT
        most = FLAT
        for kernel in range(KERNELS_PER_GROUP):
            value = maps[kernel, step]
            # not min() and max(), which look for NaN
            least = value if value < least else least
            most = value if value > most else most
        lowest[step] = least
        highest[step] = most


@inlined
def _write_totals(
    maps,
    length,
    lowest,
    highest,
    thresholds,
    start,
    totals,
):
    """Write the maxima, counts and sums of a group whose first channel is `start`."""
    bits = maps.view(np.int32)
    maxima = totals.view(np.int32)[0]
    for kernel in range(KERNELS_PER_GROUP):
        channel = start + kernel
        maxima[channel] = _maximum_bits(bits[kernel], length)
        counts = _counts(
            maps[kernel],
            length,
            lowest,
            highest,
            thresholds[0, channel],
            thresholds[1, channel],
            thresholds[2, channel],
            thresholds[3, channel],
        )
        totals[1, channel] = counts[0]
        totals[2, channel] = counts[1]
        totals[3, channel] = counts[2]
        totals[4, channel] = counts[3]
        totals[5, channel] = counts[4]
        totals[6, channel] = counts[5]


@inlined
def _write_means(
    totals,
    n_steps,
    features,
):
    """Write the statistics of a row, given maxima, counts and sums."""
    n_roots = 2
    first_root = N_STATISTICS - n_roots
    for channel in range(totals.shape[1]):
        features[0, channel] = totals[0, channel]
    for order in range(1, first_root):
        for channel in range(totals.shape[1]):
            features[order, channel] = totals[order, channel] / n_steps
    for order in range(first_root, N_STATISTICS):
        for channel in range(totals.shape[1]):
            features[order, channel] = np.sqrt(totals[order, channel] / n_steps)


@inlined
def _maximum_bits(bits, length):
    """Return the bits of the maximum of floats, given their bits as integers.

    Integers take a quarter of the time: a maximum of floats is not vectorised, because of NaN.
    """
    highest = np.int32(-(2**31))
    for step in range(length):
        ordered = _ordered(bits[step])
        highest = ordered if ordered > highest else highest
    return _ordered(highest)


@inlined
def _ordered(bits):
    """Flip the bits of negative floats but the sign, so that they order as integers, or back."""
    # each step is narrowed again, because numba computes in 64 bits
    sign = np.int32(bits >> np.int32(31))
    flips = np.int32(sign & np.int32(2**31 - 1))
    return np.int32(bits ^ flips)


@internal(fastmath={"reassoc"})
def _counts(
    values,
    length,
    lowest,
    highest,
    first,
    second,
    third,
    fourth,
):
    """Return the steps above four thresholds, the steps won, and the sum of the peaks.

    Counts in floats are exact below 2 ** 24 steps, in any order. One pass for all of them takes a
    third of the time of six passes.
    """
    one = np.float32(1.0)
    zero = np.float32(0.0)
    above_first = zero
    above_second = zero
    above_third = zero
    above_fourth = zero
    won = zero
    peaks = zero
    for step in range(length):
        value = values[step]
        above_first += one if value > first else zero
        above_second += one if value > second else zero
        above_third += one if value > third else zero
        above_fourth += one if value > fourth else zero
        won += one if value == lowest[step] else zero
        peaks += value if value == highest[step] else zero
    return above_first, above_second, above_third, above_fourth, won, peaks


@compiled()
def write_projections(
    features,
    mean,
    scale,
    loadings,
    projections,
):
    """Write the projections of standardised features on principal axes.

    Products are added feature by feature, so that a projection does not depend on the rows beside
    it. A matrix product would be faster, but may round differently for another number of rows.

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features), float32
        Features.
    mean, scale : ndarray of shape (n_features,), float32
        Mean and standard deviation of each feature.
    loadings : ndarray of shape (n_features, n_components), float32
        Principal axes, one per column.
    projections : ndarray of shape (n_samples, n_components), float32
        Array that receives the projections.
    """
    n_samples, n_features = features.shape
    for row in range(n_samples):
        projection = projections[row]
        projection[:] = np.float32(0.0)
        for column in range(n_features):
            value = (features[row, column] - mean[column]) / scale[column]
            value = min(max(value, -CLIP), CLIP)
            loading = loadings[column]
            for axis in range(len(projection)):
                projection[axis] += value * loading[axis]
