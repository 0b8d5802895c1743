"""Reading ahead: the same items, drawn by a thread that ends with them."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from quick import quick, walks

from fei_sklearn.objectives.fei import FEIObjective
from fei_sklearn.training.prefetch import read_ahead


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("n_items", [0, 1, 2, 20])
def test_the_same_items_in_the_same_order(n_items, depth):
    items = read_ahead(range(n_items), depth)
    assert list(items) == list(range(n_items))


def test_items_are_drawn_by_one_other_thread():
    items = (threading.get_ident() for _ in range(9))
    threads = set(read_ahead(items))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("depth", [1, 2])
def test_at_most_depth_items_are_drawn_ahead(depth):
    drawn = []

    def source():
        for number in range(9):
            drawn.append(number)
            yield number

    items = read_ahead(source(), depth)
    for number in range(9):
        assert next(items) == number
        assert len(drawn) <= number + 1 + depth
    items.close()


def test_the_next_item_is_drawn_during_the_work_on_the_current_one():
    requested = threading.Event()

    def source():
        yield 0
        requested.set()
        yield 1

    for _ in read_ahead(source()):
        # would wait until the timeout if the item were drawn afterwards
        assert requested.wait(timeout=60)


def test_an_error_is_raised_in_its_turn():
    def source():
        yield 0
        raise OSError("disk on fire")

    n_threads = threading.active_count()
    received = []
    with pytest.raises(OSError, match="disk on fire"):
        received.extend(read_ahead(source()))
    assert threading.active_count() == n_threads


def test_without_items_the_thread_ends():
    n_threads = threading.active_count()
    assert list(read_ahead([])) == []
    assert threading.active_count() == n_threads


def test_the_thread_ends_when_the_generator_is_closed():
    n_threads = threading.active_count()
    items = read_ahead(range(1000), depth=2)
    next(items)
    assert threading.active_count() == n_threads + 1
    items.close()
    assert threading.active_count() == n_threads


def test_no_thread_is_left_after_a_failing_step(tmp_path, monkeypatch):
    path = tmp_path / "X.npy"
    np.save(path, walks())
    X = np.load(path, mmap_mode="r")
    n_threads = threading.active_count()

    def failing(self, *batch, generator):
        assert threading.active_count() == n_threads + 1
        raise ZeroDivisionError

    monkeypatch.setattr(FEIObjective, "forward", failing)
    with pytest.raises(ZeroDivisionError):
        quick().fit(X)
    assert threading.active_count() == n_threads
