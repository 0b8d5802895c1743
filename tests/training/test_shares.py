"""Shares of a batch, in one process per share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import distributed
from training_runs import CPU, ScriptedLosses, fei_objective

from fei_sklearn.data import Panel
from fei_sklearn.training.batches import batches_on
from fei_sklearn.training.shares import (
    BatchShare,
    Group,
    batch_lengths,
    processes_here,
    shares_on,
    skip_masks,
)

LENGTHS = np.array([5, 9, 9, 20, 7, 3, 11, 2])
ROWS = np.array([6, 0, 4, 1, 5])


def panel_of(lengths, targets=None):
    generator = np.random.default_rng(0)
    values = generator.normal(size=(8, 1, 20)).astype(np.float32)
    if lengths is not None:
        values *= np.arange(20) < lengths[:, np.newaxis, np.newaxis]
    return Panel(values, lengths, targets)


@pytest.fixture(params=[None, LENGTHS, np.full(8, 6)], ids=["whole", "ragged", "equal"])
def panel(request):
    return panel_of(request.param, targets=np.arange(8))


# Groups


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("n_samples", [7, 8, 20])
def test_slices_cover_a_batch_evenly(size, n_samples):
    slices = [Group(rank, size).slice(n_samples) for rank in range(size)]
    shares = [range(n_samples)[own] for own in slices]
    sizes = [len(share) for share in shares]
    covered = [row for share in shares for row in share]
    assert covered == list(range(n_samples))
    assert max(sizes) - min(sizes) <= 1


def test_fewer_series_than_processes_are_not_sliced():
    assert Group(0, 3).slice(2) is None
    assert Group(2, 3).slice(3) == slice(2, 3)


def test_each_validation_batch_has_one_process():
    groups = [Group(rank, 3) for rank in range(3)]
    for number in range(7):
        computing = [group.rank for group in groups if group.computes(number)]
        assert computing == [number % 3]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, 8),
        ({"SLURM_NNODES": "2"}, 4),
        ({"LOCAL_WORLD_SIZE": "3"}, 3),
        ({"LOCAL_WORLD_SIZE": "3", "SLURM_NNODES": "2"}, 3),
    ],
    ids=["alone", "slurm", "torchrun", "both"],
)
def test_processes_on_this_machine(variables, expected, monkeypatch):
    for name in ("SLURM_NNODES", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert processes_here(8) == expected


# Shares


@pytest.mark.parametrize("size", [2, 3])
def test_shares_together_are_the_batch(panel, size):
    whole = batches_on(panel, CPU)(ROWS)
    shares = [shares_on(panel, CPU, Group(rank, size))(ROWS) for rank in range(size)]
    x, lengths, targets = zip(*(share.batch for share in shares), strict=True)
    assert torch.equal(torch.cat(x), whole[0])
    assert torch.equal(torch.cat(targets), whole[2])
    if whole[1] is None:
        assert lengths == (None,) * size
    else:
        assert torch.equal(torch.cat(lengths), whole[1])
    weights = [share.weight for share in shares]
    sizes = [len(own) for own in x]
    assert weights == [size * n / len(ROWS) for n in sizes]
    assert sum(weights) == pytest.approx(size)
    assert all(share.n_samples == len(ROWS) for share in shares)


def test_few_series_are_computed_on_by_each_process(panel):
    rows = ROWS[:2]
    whole = batches_on(panel, CPU)(rows)
    share = shares_on(panel, CPU, Group(1, 3))(rows)
    assert share.slice is None
    assert share.weight == 1.0
    assert len(share.batch) == len(whole)
    for own, expected in zip(share.batch, whole, strict=True):
        assert (own is None) == (expected is None)
        assert own is None or torch.equal(own, expected)


def test_lengths_of_a_batch_are_absent_where_they_are_equal():
    panel = panel_of(LENGTHS)
    longest, lengths = batch_lengths(panel, np.array([1, 2]), CPU)
    assert longest == 9
    assert lengths is None
    longest, lengths = batch_lengths(panel, np.array([0, 2]), CPU)
    assert longest == 9
    assert lengths.tolist() == [5, 9]
    longest, lengths = batch_lengths(panel_of(None), ROWS, CPU)
    assert longest == 20
    assert lengths is None


# Masks


@pytest.mark.parametrize("size", [2, 3, 7])
def test_masks_of_shares_are_those_of_the_batch(panel, size):
    objective = fei_objective()
    x, lengths, _ = batches_on(panel, CPU)(ROWS)
    generator = torch.Generator().manual_seed(5)
    expected = objective.sample_masks(x, lengths, generator)
    drawn = torch.zeros_like(expected)
    for rank in range(size):
        share = shares_on(panel, CPU, Group(rank, size))(ROWS)
        own = torch.Generator().manual_seed(5)
        masks = share.masks(objective, own)
        drawn[share.slice or slice(None)] = masks
        assert torch.equal(own.get_state(), generator.get_state())
    assert torch.equal(drawn, expected)


def test_skipped_masks_advance_the_generator(panel):
    objective = fei_objective()
    x, lengths, _ = batches_on(panel, CPU)(ROWS)
    drawing = torch.Generator().manual_seed(5)
    skipping = torch.Generator().manual_seed(5)
    objective.sample_masks(x, lengths, drawing)
    skip_masks(objective, panel, ROWS, skipping)
    assert torch.equal(skipping.get_state(), drawing.get_state())


# Losses


def test_losses_of_shares_are_averaged_by_their_series(monkeypatch):
    losses = [ScriptedLosses(torch.tensor(float(n)), torch.tensor(10.0 * n)) for n in (1, 4)]
    weights = (2 * 2 / 3, 2 * 1 / 3)  # of two series, and of one
    terms = [weight * torch.stack(list(own)) for weight, own in zip(weights, losses, strict=True)]
    other = terms[1] / 2
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_reduce", lambda mean: mean.add_(other))
    share = BatchShare((), slice(0, 2), 3, None, weights[0])
    combined = share.whole_batch_losses(losses[0])
    assert isinstance(combined, ScriptedLosses)
    assert combined.loss.item() == pytest.approx(2.0)
    assert combined.watched.item() == pytest.approx(20.0)
