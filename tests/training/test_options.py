"""Options of a training run, and its seeds."""

from __future__ import annotations

import dataclasses

import pytest
from training_runs import options

from fei_sklearn.training.options import Seeds


def test_seeds_follow_from_the_seed_as_in_earlier_versions():
    expected = Seeds(order=7, masks=8, validation_masks=9)
    assert options(seed=7).seeds == expected


def test_seeds_are_no_setting_of_their_own():
    # run fingerprints hash the fields, so a new field would orphan all states on disk
    names = [field.name for field in dataclasses.fields(options())]
    assert names == [
        "max_epochs",
        "min_epoch_steps",
        "batch_size",
        "learning_rate",
        "lr_decay",
        "momentum",
        "n_iter_no_change",
        "device",
        "precision",
        "seed",
        "n_devices",
        "endless",
    ]


def test_a_factor_decays_the_rate_with_the_epoch():
    chosen = options(learning_rate=0.1, lr_decay=0.5)
    assert chosen.rate_at(epoch=2, step=90, n_steps=100) == pytest.approx(0.025)


def test_a_cosine_lowers_the_rate_with_the_step():
    chosen = options(learning_rate=0.1, lr_decay="cosine")
    early = chosen.rate_at(epoch=2, step=5, n_steps=100)
    late = chosen.rate_at(epoch=2, step=90, n_steps=100)
    assert early == pytest.approx(0.1)
    assert late < 0.01


def test_momentum_is_constant_in_an_endless_run():
    assert options(momentum=0.9).momentum_at(50, 100) == pytest.approx(0.95)
    assert options(momentum=0.9, endless=True).momentum_at(50, 100) == 0.9
