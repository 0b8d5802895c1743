"""Splits of the training series."""

from __future__ import annotations

import numpy as np
import pytest

from fei_sklearn.evaluation.splits import folds, hold_out, thin


def test_a_fifth_of_each_class_is_held_out_and_never_its_last_series():
    y = np.array([0] * 20 + [1] * 10 + [2])
    rows, held_out = hold_out(y, None, classes=True, seed=0)
    assert np.bincount(y[held_out], minlength=3).tolist() == [4, 2, 0]
    assert sorted([*rows, *held_out]) == list(range(31))


def test_the_seed_draws_the_held_out_rows():
    y = np.array([0] * 20 + [1] * 10 + [2])
    _, held_out = hold_out(y, None, classes=True, seed=0)
    _, other = hold_out(y, None, classes=True, seed=1)
    _, again = hold_out(y, None, classes=True, seed=0)
    assert other.tolist() != held_out.tolist()
    assert again.tolist() == held_out.tolist()


def test_a_fifth_of_the_targets_is_held_out():
    rows, held_out = hold_out(np.linspace(0, 1, 50), None, classes=False, seed=0)
    assert len(held_out) == 10
    assert sorted([*rows, *held_out]) == list(range(50))


@pytest.mark.parametrize("classes", [True, False])
def test_no_group_is_on_both_sides(classes):
    groups = np.repeat(np.arange(10), 6)
    y = np.tile([0, 1], 30)
    rows, held_out = hold_out(y, groups, classes=classes, seed=0)
    assert set(groups[rows]).isdisjoint(groups[held_out])
    assert len(held_out) == 12
    for fitted, scored in folds(y, groups, classes=classes, seed=0):
        assert set(groups[fitted]).isdisjoint(groups[scored])


def test_too_few_series_of_a_class_give_no_folds():
    assert folds(np.array([0, 0, 0, 1]), None, classes=True, seed=0) == []
    three_of_each = np.array([0, 0, 0, 1, 1, 1])
    assert len(folds(three_of_each, None, classes=True, seed=0)) == 3


def test_fewer_series_keep_the_classes_shares_and_no_class_is_lost():
    y = np.array([0] * 60 + [1] * 30 + [2])
    rows = thin(y, 45, classes=True)
    assert np.bincount(y[rows]).tolist() == [29, 14, 1]
    assert sorted(set(rows)) == rows.tolist()
    assert thin(y, 45, classes=True).tolist() == rows.tolist()
    assert thin(y, 100, classes=True).tolist() == list(range(91))


def test_fewer_targets_are_drawn_from_all_series():
    rows = thin(np.linspace(0, 1, 50), 20, classes=False)
    assert len(set(rows)) == 20
    assert rows.max() > 30
