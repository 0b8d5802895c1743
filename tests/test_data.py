"""Panels: series in memory and lazy series, and what is taken of them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from fake_device import META, FakeAccelerator

from fei_sklearn.data import LazySeries, Panel, unequal

CPU = torch.device("cpu")
LENGTHS = np.array([3, 7, 5, 7, 2, 6])
VALUES = np.arange(6 * 2 * 7, dtype=np.float32).reshape(6, 2, 7)
ROWS = np.array([4, 1, 1, 3])


class Source:
    """Source of series that records which rows are read, with a time point too many."""

    def __init__(self):
        self.read_rows = []

    def __call__(self, rows):
        self.read_rows.append(rows.tolist())
        return np.pad(VALUES[rows], [(0, 0), (0, 0), (0, 1)])


def lazy_series():
    return LazySeries(Source(), VALUES.shape)


@pytest.fixture(params=["memory", "lazy"])
def values(request):
    if request.param == "lazy":
        return lazy_series()
    return VALUES


def assert_same_panel(panel, other):
    for name in ("values", "lengths", "targets"):
        own = getattr(panel, name)
        expected = getattr(other, name)
        assert (own is None) == (expected is None)
        if expected is not None:
            np.testing.assert_array_equal(own[:], expected[:])


# Lazy series


@pytest.mark.parametrize(
    "key",
    [
        ROWS,
        slice(1, 4),
        (ROWS, slice(None), slice(3)),
        (slice(None, None, 2), 0),
        slice(None),
    ],
    ids=["rows", "slice", "cut", "channel", "all"],
)
def test_lazy_series_are_indexed_like_an_array(key):
    values = lazy_series()[key]
    np.testing.assert_array_equal(values, VALUES[key])
    assert values.flags.c_contiguous


@pytest.mark.parametrize("key", [ROWS, slice(1, 9), (ROWS, slice(None), slice(3))])
def test_channels_of_lazy_series_are_indexed_like_an_array(key):
    series = lazy_series().univariate()
    expected = VALUES.reshape(12, 1, 7)
    assert series.shape == (12, 1, 7)
    assert len(series) == 12
    np.testing.assert_array_equal(series[key], expected[key])


def test_selected_series_are_indexed_from_their_first():
    series = lazy_series().select(ROWS)
    assert series.shape == (4, 2, 7)
    np.testing.assert_array_equal(series[:], VALUES[ROWS])
    again = series.select(np.array([3, 0]))
    np.testing.assert_array_equal(again[:], VALUES[[3, 4]])
    channels = again.univariate().select(np.array([3, 0]))
    np.testing.assert_array_equal(channels[:, 0], [VALUES[4, 1], VALUES[3, 0]])
    np.testing.assert_array_equal(channels.univariate()[:], channels[:])


def test_a_selection_leaves_the_series_as_they_are():
    series = lazy_series()
    series.select(ROWS)
    series.univariate()
    assert series.shape == VALUES.shape
    np.testing.assert_array_equal(series[:], VALUES)


def test_only_indexed_rows_are_read_each_once_and_in_order():
    source = Source()
    series = LazySeries(source, VALUES.shape).univariate().select(np.arange(3, 11))
    assert source.read_rows == []
    series[np.array([7, 0, 1])]  # channels 10, 3 and 4, of the series 5, 1 and 2
    assert source.read_rows == [[1, 2, 5]]


def test_a_source_may_stop_at_the_longest_of_its_rows():
    series = LazySeries(lambda rows: VALUES[rows, :, :5], VALUES.shape)
    expected = VALUES.copy()
    expected[:, :, 5:] = 0
    np.testing.assert_array_equal(series[ROWS], expected[ROWS])
    np.testing.assert_array_equal(series.univariate()[ROWS], expected.reshape(12, 1, 7)[ROWS])
    assert series.cut(ROWS, 7).shape == (4, 2, 5)
    np.testing.assert_array_equal(series.select(ROWS).cut([1, 3], 3), VALUES[[1, 3], :, :3])


def test_lazy_series_become_arrays():
    series = lazy_series()
    assert np.asarray(series).dtype == np.float32
    assert np.asarray(series, dtype=np.float64).dtype == np.float64
    np.testing.assert_array_equal(np.asarray(series), VALUES)


def test_lazy_series_are_pickled():
    series = lazy_series().select(ROWS)
    restored = pickle.loads(pickle.dumps(series))
    np.testing.assert_array_equal(restored[:], VALUES[ROWS])


# Panels


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])
@pytest.mark.parametrize("targets", [None, np.arange(6)], ids=["plain", "labelled"])
def test_select_and_take_return_the_same_series(values, lengths, targets):
    panel = Panel(values, lengths, targets)
    taken = panel.take(ROWS)
    selected = panel.select(ROWS)
    assert len(panel) == 6
    assert len(selected) == 4
    assert isinstance(taken.values, np.ndarray)
    assert isinstance(selected.values, LazySeries) == isinstance(values, LazySeries)
    everything = np.arange(4)
    assert_same_panel(selected.take(everything), taken)


def test_taken_series_are_cut_to_the_longest(values):
    panel = Panel(values, LENGTHS)
    taken = panel.take(np.array([0, 2]))
    assert taken.values.shape == (2, 2, 5)
    assert taken.lengths.tolist() == [3, 5]
    assert taken.max_length == 5
    np.testing.assert_array_equal(taken.values, VALUES[[0, 2], :, :5])


def test_taken_series_of_one_length_have_no_lengths(values):
    taken = Panel(values, LENGTHS).take(np.array([1, 3]))
    assert taken.lengths is None
    assert taken.max_length == 7


def test_a_block_keeps_lengths_and_padding(values):
    panel = Panel(values, LENGTHS, np.arange(6))
    block = panel.block(slice(3, 5))
    assert block.lengths.tolist() == [7, 2]
    assert block.targets.tolist() == [3, 4]
    np.testing.assert_array_equal(block.values, VALUES[3:5])
    equal = panel.block(slice(1, 4, 2))
    assert equal.lengths.tolist() == [7, 7]


def test_each_channel_becomes_a_series(values):
    panel = Panel(values, LENGTHS).univariate()
    assert len(panel) == 12
    assert panel.lengths.tolist() == np.repeat(LENGTHS, 2).tolist()
    np.testing.assert_array_equal(panel.values[:], VALUES.reshape(12, 1, 7))
    assert Panel(values).univariate().lengths is None


def test_a_batch_is_the_panel_as_tensors(values):
    x, lengths = Panel(values).batch(CPU)
    assert x.dtype == torch.float32
    assert lengths is None
    np.testing.assert_array_equal(x, VALUES)
    x, lengths, targets = Panel(values, LENGTHS, np.arange(6.0)).batch(CPU)
    assert lengths.dtype == torch.int64
    assert lengths.tolist() == LENGTHS.tolist()
    assert targets.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_batch_of_reversed_series_is_contiguous():
    x, _ = Panel(VALUES[::-1]).batch(CPU)
    np.testing.assert_array_equal(x, VALUES[::-1])


def test_a_batch_goes_to_an_accelerator_without_waiting():
    panel = Panel(VALUES, LENGTHS, np.arange(6), np.ones(6, np.float32))
    with FakeAccelerator(META) as accelerator:
        batch = panel.take(ROWS).batch(META)
    assert [tensor.device for tensor in batch] == [META] * 4
    assert accelerator.n_calls >= 4


@pytest.mark.parametrize(
    ("lengths", "are_unequal"),
    [([5], False), ([5, 5, 5], False), ([5, 5, 4], True), ([4, 5, 5], True)],
)
def test_equal_lengths_are_left_out(lengths, are_unequal):
    lengths = np.array(lengths)
    expected = lengths if are_unequal else None
    assert unequal(lengths) is expected
