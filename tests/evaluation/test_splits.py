"""Splits of the training series."""

from __future__ import annotations

import numpy as np
import pytest

from fei_sklearn.evaluation.splits import folds, hold_out, labelled_rows, thin

#: 20, 10 and 1 series of three classes.
LABELS = np.repeat([0, 1, 2], [20, 10, 1])

TARGETS = np.linspace(0, 1, 50)


def assert_complete(rows, held_out, n_samples):
    everything = np.concatenate([rows, held_out])
    assert sorted(everything) == list(range(n_samples))


def test_a_fifth_of_each_class_is_held_out_and_never_its_last_series():
    rows, held_out = hold_out(LABELS, None, classes=True, seed=0)
    series_per_class = np.bincount(LABELS[held_out], minlength=3)
    assert series_per_class.tolist() == [4, 2, 0]
    assert_complete(rows, held_out, 31)


def test_the_seed_draws_the_held_out_rows():
    _, held_out = hold_out(LABELS, None, classes=True, seed=0)
    _, other = hold_out(LABELS, None, classes=True, seed=1)
    _, again = hold_out(LABELS, None, classes=True, seed=0)
    assert other.tolist() != held_out.tolist()
    assert again.tolist() == held_out.tolist()


def test_a_fifth_of_the_targets_is_held_out():
    rows, held_out = hold_out(TARGETS, None, classes=False, seed=0)
    assert len(held_out) == 10
    assert_complete(rows, held_out, 50)


@pytest.mark.parametrize("classes", [True, False])
def test_no_group_is_on_both_sides(classes):
    groups = np.repeat(np.arange(10), 6)
    y = np.tile([0, 1], 30)
    split = hold_out(y, groups, classes=classes, seed=0)
    _, held_out = split
    assert len(held_out) == 12
    splits = folds(y, groups, classes=classes, seed=0)
    for fitted, scored in [split, *splits]:
        on_one_side = set(groups[fitted])
        assert on_one_side.isdisjoint(groups[scored])


@pytest.mark.parametrize(
    ("y", "n_folds"),
    [
        ([0, 0, 0, 1], 0),
        ([0, 0, 0, 1, 1, 1], 3),
        ([0, 1] * 20, 5),
    ],
)
def test_the_rarest_class_limits_the_number_of_folds(y, n_folds):
    splits = folds(np.array(y), None, classes=True, seed=0)
    assert len(splits) == n_folds


def test_fewer_series_keep_the_classes_shares_and_no_class_is_lost():
    y = np.repeat([0, 1, 2], [60, 30, 1])
    rows = thin(y, 45, classes=True)
    series_per_class = np.bincount(y[rows])
    assert series_per_class.tolist() == [29, 14, 1]
    assert sorted(set(rows)) == rows.tolist()
    again = thin(y, 45, classes=True)
    assert again.tolist() == rows.tolist()
    everything = thin(y, 100, classes=True)
    assert everything.tolist() == list(range(91))


def test_fewer_targets_are_drawn_from_all_series():
    rows = thin(TARGETS, 20, classes=False)
    assert len(set(rows)) == 20
    assert rows.max() > 30


def test_labels_are_drawn_per_class_and_a_small_class_gives_all():
    rows = labelled_rows(LABELS, 4, classes=True, seed=0)
    assert np.bincount(LABELS[rows]).tolist() == [4, 4, 1]


def test_targets_are_drawn_in_all():
    assert len(labelled_rows(TARGETS, 4, classes=False, seed=0)) == 4
    assert len(labelled_rows(TARGETS, 400, classes=False, seed=0)) == 50


@pytest.mark.parametrize("classes", [True, False])
def test_more_labels_contain_fewer_and_the_seed_draws_them(classes):
    y = LABELS if classes else TARGETS
    few = labelled_rows(y, 3, classes=classes, seed=0)
    more = labelled_rows(y, 6, classes=classes, seed=0)
    other = labelled_rows(y, 3, classes=classes, seed=1)
    assert set(few) < set(more)
    assert other.tolist() != few.tolist()
