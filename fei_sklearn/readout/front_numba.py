"""Statistics of a bank of dilated convolutions on the CPU, in one pass over a row.

Taps are multiplied and added one after the other, and never fused, here and in
:mod:`fei_sklearn.readout.front_torch`: a value of a map has the same bits in both, for any number
of rows and threads. So have its maximum and all counts.
"""

from __future__ import annotations

import numpy as np

from fei_sklearn.encoder.layout import KERNELS_PER_GROUP
from fei_sklearn.readout.compiling import compiled
from fei_sklearn.readout.spec import FLAT_BAND

FLAT = np.float32(FLAT_BAND)

#: Deviations from the mean at which a feature is cut before it is projected.
CLIP = np.float32(8.0)


@compiled()
def write_features(seen, lengths, kernels, dilations, thresholds, features):
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
    widest = (n_taps - 1) * dilations.max()
    padded = np.empty(seen.shape[1] + widest, dtype=np.float32)
    maps = np.empty((KERNELS_PER_GROUP, seen.shape[1]), dtype=np.float32)
    lowest = np.empty(seen.shape[1], dtype=np.float32)
    highest = np.empty(seen.shape[1], dtype=np.float32)
    for row in range(len(seen)):
        length = lengths[row]
        for index in range(n_dilations):
            dilation = dilations[index]
            _pad(seen[row], length, n_taps // 2 * dilation, padded)
            for first in range(0, n_kernels, KERNELS_PER_GROUP):
                for kernel in range(0, KERNELS_PER_GROUP, 2):
                    start = first + kernel
                    pair = kernels[index, start : start + 2]
                    of_pair = maps[kernel : kernel + 2]
                    _convolve_pair(padded, length, dilation, pair, of_pair)
                _write_extremes(maps, length, lowest, highest)
                start = index * n_kernels + first
                channels = slice(start, start + KERNELS_PER_GROUP)
                of_group = features[row, :, channels]
                _write_statistics(
                    maps,
                    length,
                    lowest,
                    highest,
                    thresholds[:, channels],
                    of_group,
                )


@compiled()
def _pad(series, length, margin, padded):
    """Write a row between two margins of zeros."""
    for step in range(margin):
        padded[step] = np.float32(0.0)
        padded[margin + length + step] = np.float32(0.0)
    for step in range(length):
        padded[margin + step] = series[step]


@compiled()
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
        v = v0 * x0[t] + v1 * x1[t]
        v = (v + v2 * x2[t]) + v3 * x3[t]
        v = (v + v4 * x4[t]) + v5 * x5[t]
        v = (v + v6 * x6[t]) + v7 * x7[t]
        first[t] = v + v8 * x8[t]
        w = w0 * x0[t] + w1 * x1[t]
        w = (w + w2 * x2[t]) + w3 * x3[t]
        w = (w + w4 * x4[t]) + w5 * x5[t]
        w = (w + w6 * x6[t]) + w7 * x7[t]
        second[t] = w + w8 * x8[t]


@compiled()
def _write_extremes(maps, length, lowest, highest):
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


@compiled()
def _write_statistics(maps, length, lowest, highest, thresholds, features):
    """Write the statistics of the kernels of a group, one column per kernel."""
    n_steps = np.float32(length)
    bits = maps.view(np.int32)
    maximum = np.empty(1, dtype=np.int32)
    for kernel in range(KERNELS_PER_GROUP):
        column = features[:, kernel]
        maximum[0] = _maximum_bits(bits[kernel], length)
        column[0] = maximum.view(np.float32)[0]
        counts = _counts(
            maps[kernel],
            length,
            lowest,
            highest,
            thresholds[0, kernel],
            thresholds[1, kernel],
            thresholds[2, kernel],
            thresholds[3, kernel],
        )
        for order in range(4):
            column[1 + order] = counts[order] / n_steps
        column[5] = np.sqrt(counts[4] / n_steps)
        column[6] = np.sqrt(counts[5] / n_steps)


@compiled()
def _maximum_bits(bits, length):
    """Return the bits of the maximum of floats, given their bits as integers.

    Integers take a fifth of the time: a maximum of floats is not vectorised, because of NaN.
    """
    highest = np.int32(-(2**31))
    for step in range(length):
        ordered = _ordered(bits[step])
        highest = ordered if ordered > highest else highest
    return _ordered(highest)


@compiled()
def _ordered(bits):
    """Flip the bits of negative floats but the sign, so that they order as integers, or back."""
    sign = bits >> np.int32(31)
    return bits ^ (sign & np.int32(2**31 - 1))


@compiled(fastmath={"reassoc"})
def _counts(values, length, lowest, highest, first, second, third, fourth):
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
def write_projections(features, mean, scale, loadings, projections):
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
