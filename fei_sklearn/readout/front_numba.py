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
    thresholds : ndarray of shape (n_thresholds, n_dilations * n_kernels), float32
        Thresholds of "ppv".
    features : ndarray of shape (n_samples, 3 + n_thresholds, n_dilations * n_kernels), float32
        Array that receives the statistics.
    """
    n_dilations, n_kernels, n_taps = kernels.shape
    n_thresholds = len(thresholds)
    widest = (n_taps - 1) * dilations.max()
    padded = np.empty(seen.shape[1] + widest, dtype=np.float32)
    maps = np.empty((KERNELS_PER_GROUP, seen.shape[1]), dtype=np.float32)
    lowest = np.empty(seen.shape[1], dtype=np.float32)
    highest = np.empty(seen.shape[1], dtype=np.float32)
    maxima = np.empty(KERNELS_PER_GROUP, dtype=np.float32)
    for row in range(len(seen)):
        length = lengths[row]
        n_steps = np.float32(length)
        for index in range(n_dilations):
            dilation = dilations[index]
            _pad(seen[row], length, n_taps // 2 * dilation, padded)
            for first in range(0, n_kernels, KERNELS_PER_GROUP):
                for kernel in range(0, KERNELS_PER_GROUP, 2):
                    start = first + kernel
                    pair = kernels[index, start : start + 2]
                    _convolve_pair(padded, length, dilation, pair, maps[kernel : kernel + 2])
                _write_maxima(maps, length, lowest, maxima)
                _write_extremes(maps, length, lowest, highest)
                for kernel in range(KERNELS_PER_GROUP):
                    channel = index * n_kernels + first + kernel
                    values = maps[kernel]
                    column = features[row, :, channel]
                    column[0] = maxima[kernel]
                    for order in range(n_thresholds):
                        n_above = _count_above(values, length, thresholds[order, channel])
                        column[1 + order] = n_above / n_steps
                    n_wins = _count_equal(values, lowest, length)
                    column[1 + n_thresholds] = np.sqrt(n_wins / n_steps)
                    total = _sum_equal(values, highest, length)
                    column[2 + n_thresholds] = np.sqrt(total / n_steps)


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
    v0, v1, v2, v3, v4, v5, v6, v7, v8 = kernels[0]
    w0, w1, w2, w3, w4, w5, w6, w7, w8 = kernels[1]
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
        v = ((v0 * x0[t] + v1 * x1[t]) + v2 * x2[t]) + v3 * x3[t]
        v = ((v + v4 * x4[t]) + v5 * x5[t]) + v6 * x6[t]
        first[t] = (v + v7 * x7[t]) + v8 * x8[t]
        w = ((w0 * x0[t] + w1 * x1[t]) + w2 * x2[t]) + w3 * x3[t]
        w = ((w + w4 * x4[t]) + w5 * x5[t]) + w6 * x6[t]
        second[t] = (w + w7 * x7[t]) + w8 * x8[t]


@compiled()
def _write_maxima(maps, length, scratch, maxima):
    """Write the maximum of each map of a group.

    Halves are compared step by step. A running maximum waits for itself, and takes ten times as
    long.
    """
    for kernel in range(KERNELS_PER_GROUP):
        values = maps[kernel]
        half = length // 2
        rest = length - half
        for step in range(half):
            scratch[step] = max(values[step], values[rest + step])
        if rest > half:
            scratch[half] = values[half]
        n_left = rest
        while n_left > 1:
            half = n_left // 2
            rest = n_left - half
            upper = scratch[rest:]
            for step in range(half):
                scratch[step] = max(scratch[step], upper[step])
            n_left = rest
        maxima[kernel] = scratch[0]


@compiled()
def _write_extremes(maps, length, lowest, highest):
    """Write the lowest and highest value of a group at each step, outside the flat band."""
    for step in range(length):
        lowest[step] = -FLAT
        highest[step] = FLAT
    for kernel in range(KERNELS_PER_GROUP):
        values = maps[kernel]
        for step in range(length):
            lowest[step] = min(lowest[step], values[step])
            highest[step] = max(highest[step], values[step])


# Counts in floats are exact below 2 ** 24 steps, in any order.


@compiled(fastmath={"reassoc"})
def _count_above(values, length, threshold):
    count = np.float32(0.0)
    for step in range(length):
        count += np.float32(1.0) if values[step] > threshold else np.float32(0.0)
    return count


@compiled(fastmath={"reassoc"})
def _count_equal(values, others, length):
    count = np.float32(0.0)
    for step in range(length):
        count += np.float32(1.0) if values[step] == others[step] else np.float32(0.0)
    return count


@compiled(fastmath={"reassoc"})
def _sum_equal(values, others, length):
    total = np.float32(0.0)
    for step in range(length):
        total += values[step] if values[step] == others[step] else np.float32(0.0)
    return total


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
