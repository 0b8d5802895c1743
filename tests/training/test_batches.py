"""Rows of an epoch's batches, and how the batches are read."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from quick import quick
from training_runs import CPU

from fei_sklearn.data import LazySeries, Panel
from fei_sklearn.training.batches import (
    batches_on,
    check_padding,
    n_batches,
    read_in_order,
    rows_to_pad,
    shuffled_batches,
    split,
    validation_batches,
)

# Training and validation rows


@pytest.mark.parametrize(
    ("n_samples", "fraction", "n_validation"),
    [
        (7, 0.1, 0),
        (8, 0.1, 1),
        (8, 0.0, 0),
        (30, 0.1, 3),
        (30, 0.5, 15),
        (300, 0.01, 3),
    ],
)
def test_split(n_samples, fraction, n_validation):
    rows, held_out = split(n_samples, fraction, seed=0)
    _, again = split(n_samples, fraction, seed=0)
    _, other = split(n_samples, fraction, seed=1)
    assert len(held_out) == n_validation
    assert sorted([*rows, *held_out]) == list(range(n_samples))
    assert rows.tolist() == sorted(rows)
    assert held_out.tolist() == sorted(again)
    if n_validation > 1:
        assert held_out.tolist() != other.tolist()


@pytest.mark.parametrize("fraction", [0.94, 0.999])
@pytest.mark.parametrize("n_samples", [8, 9])
def test_two_series_at_least_train(n_samples, fraction):
    rows, _ = split(n_samples, fraction, seed=0)
    assert len(rows) >= 2


def test_no_validation_below_8_series_or_without_a_fraction():
    X = np.random.default_rng(0).normal(size=(8, 12))
    validated = quick().fit(X)
    assert "valid_loss" in validated.history_[0]
    too_few = quick().fit(X[:7])
    assert "valid_loss" not in too_few.history_[0]
    for fraction in (None, 0, 0.0):
        embedder = quick(validation_fraction=fraction).fit(X)
        assert "valid_loss" not in embedder.history_[0]


# Order


@pytest.mark.parametrize("n_samples", [2, 9, 10, 11, 12])
@pytest.mark.parametrize("batch_size", [1, 2, 4, 100])
def test_a_pass_takes_each_series_once_in_a_new_order(n_samples, batch_size):
    generator = torch.Generator().manual_seed(0)
    leaves_one_out = n_samples % batch_size == 1 and 1 < batch_size < n_samples
    orders = set()
    for _ in range(6):
        batches = list(shuffled_batches(n_samples, batch_size, generator))
        rows = np.concatenate(batches).tolist()
        assert len(batches) == n_batches(n_samples, batch_size)
        assert len(rows) == n_samples - leaves_one_out
        assert len(set(rows)) == len(rows)
        orders.add(tuple(rows))
    assert len(orders) > 1


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_panel_of_one_series_is_a_batch(batch_size):
    generator = torch.Generator().manual_seed(0)
    batches = list(shuffled_batches(1, batch_size, generator))
    assert [rows.tolist() for rows in batches] == [[0]]
    assert n_batches(1, batch_size) == 1


@pytest.mark.parametrize("n_samples", [1, 2, 7, 63, 64, 65, 129, 513])
@pytest.mark.parametrize("batch_size", [1, 16, 64, 512])
def test_validation_takes_all_series_equally_often_and_none_alone(n_samples, batch_size):
    batches = list(validation_batches(n_samples, batch_size))
    counts = np.bincount(np.concatenate(batches), minlength=n_samples)
    sizes = [len(rows) for rows in batches]
    assert len(set(counts)) == 1
    assert counts.sum() >= 64
    assert min(sizes) >= 32
    assert max(sizes) <= max(batch_size, 64)


# Reading


@pytest.mark.parametrize(
    "lengths",
    [None, np.resize([2, 9, 20, 7], 24)],
    ids=["dense", "ragged"],
)
@pytest.mark.parametrize("targets", [None, np.arange(24)])
def test_a_resident_panel_gives_the_same_batches(lengths, targets):
    values = np.random.default_rng(0).normal(size=(24, 2, 20))
    panel = Panel(values.astype(np.float32), lengths, targets)
    n_bytes = panel.values.nbytes
    resident = batches_on(panel, CPU, free_bytes=4 * n_bytes)
    copying = batches_on(panel, CPU, free_bytes=4 * n_bytes - 1)
    assert resident.__qualname__ != copying.__qualname__
    for rows in ([3, 17, 4], range(24), [1, 5, 9], [7]):
        batch = resident(np.array(rows))
        expected = copying(np.array(rows))
        assert len(batch) == len(expected) == 2 + (targets is not None)
        for tensor, other in zip(batch, expected, strict=True):
            assert_same_tensor(tensor, other)


def assert_same_tensor(tensor, other):
    if other is None:
        assert tensor is None
        return
    assert tensor.dtype == other.dtype
    assert torch.equal(tensor, other)


@pytest.mark.parametrize("n_timepoints", [1, 8])
def test_lazy_series_are_never_resident(n_timepoints):
    values = np.zeros((4, 1, n_timepoints), np.float32)
    series = LazySeries(lambda rows: values[rows], values.shape)
    read = batches_on(Panel(series), CPU, free_bytes=2**40)
    assert read.__name__ == "<lambda>"


def test_on_the_cpu_a_panel_is_never_copied_whole():
    panel = Panel(np.zeros((4, 1, 8), np.float32))
    read = batches_on(panel, CPU)
    assert read.__name__ == "<lambda>"


@pytest.mark.parametrize("is_lazy", [False, True])
def test_batches_of_lazy_series_are_read_ahead(is_lazy):
    values = np.arange(24.0, dtype=np.float32).reshape(12, 1, 2)
    series = LazySeries(lambda rows: values[rows], values.shape)
    panel = Panel(series if is_lazy else values)
    readers = set()

    def read(rows):
        readers.add(threading.get_ident())
        return panel.take(rows).values

    order = np.random.default_rng(0).permutation(12)
    batch_rows = np.split(order, 4)
    batches = list(read_in_order(panel, read, iter(batch_rows)))
    assert len(batches) == 4
    for expected_rows, (rows, batch) in zip(batch_rows, batches, strict=True):
        np.testing.assert_array_equal(rows, expected_rows)
        np.testing.assert_array_equal(batch, values[expected_rows])
    read_here = threading.get_ident() in readers
    assert read_here is not is_lazy


@pytest.mark.parametrize("batch_size", [64, 4])
def test_one_long_series_does_not_multiply_a_batch(batch_size):
    lengths = np.full(500, 50)
    lengths[7] = 200_000
    shape = (500, 1, 200_000)
    panel = Panel(LazySeries(lambda rows: None, shape), lengths)
    if batch_size == 4:
        check_padding(panel, batch_size)
        return
    sentence = r"^A batch of 64 series is padded .* of 200,000 time points, .* Cut long"
    with pytest.raises(ValueError, match=sentence):
        check_padding(panel, batch_size)


def test_a_sample_leaves_out_the_series_that_would_multiply_it():
    lengths = np.full(500, 50)
    lengths[[7, 499]] = 200_000
    panel = Panel(LazySeries(lambda rows: None, (500, 1, 200_000)), lengths)
    sample = np.array([3, 7, 8, *range(100, 150), 499])
    np.testing.assert_array_equal(rows_to_pad(panel, sample), [3, 8, *range(100, 150)])
    few = np.array([3, 7])
    np.testing.assert_array_equal(rows_to_pad(panel, few), few)


@pytest.mark.parametrize("lengths", [None, np.array([1000, 3000, 2000]), np.array([5, 9])])
def test_usual_lengths_may_be_padded(lengths):
    n_series = 3 if lengths is None else len(lengths)
    panel = Panel(np.zeros((n_series, 1, 3000), np.float32), lengths)
    check_padding(panel, 512)
    rows = np.arange(n_series)[::-1]
    np.testing.assert_array_equal(np.sort(rows_to_pad(panel, rows)), np.sort(rows))
