"""The training loop: steps, records, validation, early stopping, and watchers."""

from __future__ import annotations

import json
import math
import sys

import numpy as np
import pytest
import torch
from quick import quick
from torch import Tensor
from training_runs import (
    ScriptedObjective,
    fei_objective,
    noise_panel,
    numbered_panel,
    options,
    recorded_learning_rates,
)

from fei_sklearn.objectives.fei import FEIObjective
from fei_sklearn.training import train
from fei_sklearn.training.checkpointing import RunFolder
from fei_sklearn.training.loop import Session

LOSSES = ("loss", "embedding_loss", "mask_loss", "unexplained")


class RecordingWatcher:
    """Watcher that records the best weights after each epoch, and may stop the run."""

    def __init__(self, stop_at=None):
        self.stop_at = stop_at
        self.n_begun = 0
        self.best_weights = []
        self.best_epochs = []

    def begin(self, best):
        self.best = best

    def begin_epoch(self):
        self.n_begun += 1

    def end_epoch(self, record):
        weights, epoch = self.best()
        self.best_weights.append(weights["weight"].item())
        self.best_epochs.append(epoch)
        return record["epoch"] == self.stop_at


# Steps and schedules


@pytest.mark.parametrize(
    ("n_samples", "batch_size", "min_epoch_steps", "n_steps", "n_used"),
    [
        (10, 4, 1, 3, 10),
        (10, 4, 3, 3, 10),
        (10, 4, 4, 6, 20),
        (10, 4, 10, 12, 40),
        (10, 512, 10, 10, 100),
        (9, 4, 1, 2, 8),  # a last batch of one series is left out
        (9, 4, 5, 6, 24),
        (1, 4, 3, 3, 3),  # unless there are no others
        (3, 1, 1, 3, 3),  # or batches have one series
    ],
)
def test_steps_of_an_epoch(n_samples, batch_size, min_epoch_steps, n_steps, n_used):
    objective = ScriptedObjective()
    run_options = options(
        max_epochs=2,
        batch_size=batch_size,
        min_epoch_steps=min_epoch_steps,
    )
    with recorded_learning_rates() as rates:
        train(objective, numbered_panel(n_samples), run_options)
    sizes = [len(batch) for batch in objective.batches]
    assert len(rates) == 2 * n_steps
    assert len(objective.momenta) == 2 * n_steps
    assert len(sizes) == 2 * n_steps
    assert sum(sizes) == 2 * n_used
    assert max(sizes) <= batch_size


def test_momentum_grows_linearly_to_one():
    objective = ScriptedObjective()
    run_options = options(
        max_epochs=4,
        batch_size=5,
        min_epoch_steps=3,
        momentum=0.6,
    )
    result = train(objective, numbered_panel(10), run_options)
    recorded = [record["momentum"] for record in result.history]
    expected = [0.6 + 0.4 * step / 16 for step in range(16)]
    assert objective.momenta == pytest.approx(expected)
    assert recorded == pytest.approx(expected[3::4])


def test_learning_rate_warms_up_and_falls_along_a_cosine():
    run_options = options(
        max_epochs=10,
        batch_size=5,
        min_epoch_steps=6,
        learning_rate=0.02,
    )
    with recorded_learning_rates() as rates:
        result = train(ScriptedObjective(), numbered_panel(10), run_options)
    warmup = [0.25, 0.5, 0.75]
    cosine = [0.5 * (1 + math.cos(math.pi * step / 57)) for step in range(57)]
    expected = [0.02 * factor for factor in warmup + cosine]
    recorded = [record["learning_rate"] for record in result.history]
    assert rates == pytest.approx(expected)
    assert recorded == pytest.approx(rates[5::6])


def test_the_schedule_of_the_paper():
    embedder = quick(
        encoder=8,
        min_epoch_steps=1,
        max_epochs=100,
        batch_size=512,
        learning_rate=2e-4,
        lr_decay=0.9,
    )
    with recorded_learning_rates() as rates:
        embedder.fit(np.eye(7, 4))
    expected = [2e-4 * 0.9**epoch for epoch in range(100)]
    recorded = [record["learning_rate"] for record in embedder.history_]
    assert rates == pytest.approx(expected)
    assert recorded == pytest.approx(expected)
    assert embedder.n_iter_ == 100


def test_a_factor_of_one_keeps_the_learning_rate():
    run_options = options(lr_decay=1.0, batch_size=5)
    with recorded_learning_rates() as rates:
        train(ScriptedObjective(), numbered_panel(10), run_options)
    assert rates == [0.01] * 6


# Records


def test_records_are_plain_numbers():
    result = train(
        fei_objective(),
        noise_panel(),
        options(),
        validation=noise_panel(8),
    )
    expected = {"epoch", "learning_rate", "momentum", "seconds"}
    expected |= {f"train_{loss}" for loss in LOSSES}
    expected |= {f"valid_{loss}" for loss in LOSSES}
    history = json.loads(json.dumps(result.history))
    assert history == result.history
    assert [record["epoch"] for record in history] == [1, 2, 3]
    for record in history:
        assert set(record) == expected
        assert all(math.isfinite(value) for value in record.values())
        sum_of_branches = record["train_embedding_loss"] + record["train_mask_loss"]
        assert record["train_loss"] == pytest.approx(sum_of_branches, rel=1e-5)


def test_losses_are_means_over_the_series_not_over_the_batches():
    objective = ScriptedObjective(training=(1.0, 4.0))  # of four series and of two
    run_options = options(max_epochs=1, batch_size=4)
    result = train(objective, numbered_panel(6), run_options)
    assert result.history[0]["train_watched"] == pytest.approx(2.0)


#: Calls on tensors of the CPU: the order of the series, and AdamW's step counts.
ON_THE_CPU = {("shuffled_batches", "numpy"), ("_get_value", "item")}

#: Methods of a tensor that wait for its device.
WAITING = ("item", "tolist", "__float__", "__int__", "__bool__", "cpu", "numpy")


@pytest.mark.parametrize("with_validation", [False, True])
def test_an_epoch_waits_for_the_device_once_per_panel(with_validation, monkeypatch):
    calls = []
    for name in WAITING:
        method = getattr(Tensor, name)
        monkeypatch.setattr(Tensor, name, recorded(calls, name, method))
    validation = noise_panel(9) if with_validation else None
    run = Session(
        fei_objective(),
        noise_panel(),
        validation,
        options(batch_size=4),
    )
    calls.clear()
    for epoch in range(3):
        run.run_epoch(epoch)
    on_the_device = [call for call in calls if call not in ON_THE_CPU]
    n_panels = 1 + with_validation
    assert on_the_device == [("record", "tolist")] * 3 * n_panels


def recorded(calls, name, method):
    def recorded_method(*arguments, **named):
        caller = sys._getframe(1).f_code.co_name
        calls.append((caller, name))
        return method(*arguments, **named)

    return recorded_method


# Validation and early stopping


def test_validation_has_the_same_masks_in_each_epoch():
    drawn = {True: [], False: []}

    class RecordingObjective(FEIObjective):
        def sample_masks(self, *arguments):
            masks = super().sample_masks(*arguments)
            drawn[self.training].append(masks)
            return masks

    objective = fei_objective(RecordingObjective)
    train(objective, noise_panel(), options(), validation=noise_panel(9))
    first, *others = drawn[False]
    assert len(first) >= 64
    assert all(torch.equal(first, masks) for masks in others)
    first, *others = drawn[True]
    assert len(others) == 2
    assert not any(torch.equal(first, masks) for masks in others)


def test_validation_changes_nothing():
    objectives = [fei_objective(), fei_objective()]
    validated = train(
        objectives[0],
        noise_panel(),
        options(),
        validation=noise_panel(9),
    )
    alone = train(objectives[1], noise_panel(), options())
    if validated.best_epoch == 3:
        pairs = zip(*(objective.parameters() for objective in objectives), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
    losses = [record["train_loss"] for record in validated.history]
    assert losses == [record["train_loss"] for record in alone.history]


@pytest.mark.parametrize(
    ("losses", "patience", "n_epochs", "best"),
    [
        ((5, 4, 3, 4, 5, 6, 1), 2, 5, 3),
        ((5, 4, 3, 4, 5, 6, 1), 3, 6, 3),
        ((5, 4, 3, 4, 5, 6, 1), 4, 7, 7),
        ((5, 4, 3, 4, 5, 6, 1), None, 7, 7),
        ((5, 4, 3, 4, 5, 6, 7), None, 7, 3),
        ((1, 2, 3, 4, 5, 6, 7), 1, 2, 1),
        ((3, 3, 3, 3, 3, 3, 3), 2, 3, 1),
        ((7, 6, 5, 4, 3, 2, 1), 1, 7, 7),
    ],
)
def test_early_stopping_restores_the_best_weights(losses, patience, n_epochs, best):
    objective = ScriptedObjective(losses)
    run_options = options(
        max_epochs=7,
        n_iter_no_change=patience,
        lr_decay=1.0,
    )
    result = train(
        objective,
        numbered_panel(8),
        run_options,
        validation=numbered_panel(100),
    )
    recorded_losses = [record["valid_watched"] for record in result.history]
    weights = objective.validated_weights
    assert recorded_losses == list(losses[:n_epochs])
    assert result.best_epoch == best
    assert len(set(weights)) == n_epochs  # each epoch changes them
    assert objective.weight.item() == weights[best - 1]


def test_without_validation_a_run_goes_to_its_end():
    objective = ScriptedObjective(training=(1, 2, 3, 4))
    run_options = options(max_epochs=4, n_iter_no_change=1)
    result = train(objective, numbered_panel(8), run_options)
    assert len(result.history) == 4
    assert result.best_epoch == 4
    assert "valid_loss" not in result.history[0]


def test_the_objective_is_left_in_evaluation_mode():
    objective = fei_objective()
    train(objective, noise_panel(), options(max_epochs=1))
    assert not any(module.training for module in objective.modules())


def test_a_run_goes_on_with_the_moments_of_an_earlier_one():
    def trained(**moments):
        objective = ScriptedObjective(training=(1.0, 5.0, 2.0))
        result = train(objective, numbered_panel(8), options(), **moments)
        n_steps = result.moments["0.step"].item()
        return objective.weight.item(), n_steps, result.moments

    weight, n_steps, moments = trained()
    repeated, *_ = trained()
    continued, n_steps_together, _ = trained(moments=moments)
    assert repeated == weight
    assert continued != weight
    assert n_steps == 3
    assert n_steps_together == 6


# Watchers


def test_a_watcher_may_stop_a_run():
    watcher = RecordingWatcher(stop_at=2)
    result = train(
        ScriptedObjective(),
        numbered_panel(8),
        options(max_epochs=5),
        watcher=watcher,
    )
    assert len(result.history) == 2
    assert watcher.n_begun == 2


def test_a_watcher_gets_the_weights_that_the_run_would_keep():
    objective = ScriptedObjective((5, 4, 6, 3))
    watcher = RecordingWatcher()
    train(
        objective,
        numbered_panel(8),
        options(max_epochs=4),
        validation=numbered_panel(9),
        watcher=watcher,
    )
    weights = objective.validated_weights
    expected = [weights[epoch - 1] for epoch in (1, 2, 2, 4)]
    assert watcher.best_epochs == [1, 2, 2, 4]
    assert watcher.best_weights == expected


def test_a_finished_run_calls_the_watcher_for_every_epoch(tmp_path):
    for _ in range(2):
        watcher = RecordingWatcher()
        result = train(
            ScriptedObjective(),
            numbered_panel(8),
            options(),
            watcher=watcher,
            run_folder=RunFolder(tmp_path, "run"),
        )
        assert watcher.n_begun == 3
        assert len(result.history) == 3


# Losses that are not finite


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_an_error_with_a_remedy(loss):
    objective = ScriptedObjective(training=(1.0, loss))
    message = r"became (nan|-inf) in epoch 2.*learning_rate.*0\.01"
    with pytest.raises(ValueError, match=message):
        train(objective, numbered_panel(8), options())


def test_a_learning_rate_far_too_high_is_refused_in_fit():
    embedder = quick(max_epochs=5, learning_rate=1e30)
    X = np.random.default_rng(0).normal(size=(9, 12))
    with pytest.raises(ValueError, match=r"learning_rate \(now 1e\+30\)"):
        embedder.fit(X)
    assert not hasattr(embedder, "weights_")


# Learning


def test_the_unexplained_share_falls_in_training():
    generator = np.random.default_rng(0)
    time = np.arange(48) / 48
    frequencies = generator.integers(1, 12, size=(96, 1))
    phases = generator.random((96, 1))
    X = np.sin(2 * np.pi * (frequencies * time + phases))
    embedder = quick(
        encoder=32,
        batch_size=32,
        learning_rate=3e-3,
        max_epochs=12,
        min_epoch_steps=4,
        n_iter_no_change=None,
    )
    embedder.fit(X)
    curve = [record["valid_unexplained"] for record in embedder.history_]
    assert min(curve) < 0.8 * curve[0]
    assert curve[embedder.best_epoch_ - 1] == min(curve)
