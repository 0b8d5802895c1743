"""Reading ahead: the same items, drawn by another thread, which ends when it should."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from quick import quick, walks

from fei_sklearn.data import LazySeries, Panel, in_turn
from fei_sklearn.objectives.fei import FEIObjective
from fei_sklearn.prefetch import read_ahead


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, 2, 20])
def test_the_same_items_in_the_same_order(n, depth):
    assert list(read_ahead(range(n), depth)) == list(range(n))


def test_items_are_drawn_by_one_other_thread():
    threads = {thread for thread in read_ahead(threading.get_ident() for _ in range(9))}
    assert len(threads) == 1 and threading.get_ident() not in threads


@pytest.mark.parametrize("depth", [1, 2])
def test_as_many_items_are_drawn_ahead_as_was_asked_for(depth):
    drawn = []
    items = read_ahead((drawn.append(i) or i for i in range(9)), depth)
    for i in range(9):
        assert next(items) == i
        assert len(drawn) <= i + 1 + depth
    items.close()


def test_the_next_item_is_drawn_while_one_is_worked_on():
    asked = threading.Event()

    def items():
        yield 0
        asked.set()
        yield 1

    for _ in read_ahead(items()):
        assert asked.wait(timeout=60)  # would wait forever if it were drawn afterwards


def test_an_error_comes_in_its_turn():
    def items():
        yield 0
        raise OSError("disk on fire")

    before, got = threading.active_count(), []
    with pytest.raises(OSError, match="disk on fire"):
        got.extend(read_ahead(items()))
    for _ in read_ahead([]):
        pass
    assert threading.active_count() == before


def test_the_thread_ends_when_the_reader_is_closed():
    before = threading.active_count()
    items = read_ahead(range(1000), depth=2)
    next(items)
    assert threading.active_count() == before + 1
    items.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("stored", [False, True])
def test_batches_of_a_panel_that_is_not_in_memory_are_read_ahead(stored):
    values = np.arange(24.0, dtype=np.float32).reshape(12, 1, 2)
    panel = Panel(LazySeries(lambda rows: values[rows], values.shape) if stored else values)
    readers = []

    def read(rows):
        readers.append(threading.get_ident())
        return panel.take(rows).values

    rows = np.split(np.random.default_rng(0).permutation(12), 4)
    batches = list(in_turn(panel, read, iter(rows)))
    for wanted, (some, batch) in zip(rows, batches, strict=True):
        np.testing.assert_array_equal(some, wanted)
        np.testing.assert_array_equal(batch, values[wanted])
    assert (threading.get_ident() in readers) is not stored


def test_no_thread_is_left_when_a_step_fails(tmp_path, monkeypatch):
    def failing(self, *batch, generator):
        assert threading.active_count() == before + 1
        raise ZeroDivisionError

    np.save(tmp_path / "X.npy", walks())
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    monkeypatch.setattr(FEIObjective, "forward", failing)
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        quick().fit(X)
    assert threading.active_count() == before
