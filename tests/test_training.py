"""The loop: schedules, steps, validation, early stopping; and batch-norm calibration."""

from __future__ import annotations

import json
import math
import sys
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import pytest
import torch
from quick import quick
from reference import conv1d
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from fei_sklearn.data import Panel, n_batches, shuffled_batches, split, validation_batches
from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.objectives.fei import FEIObjective
from fei_sklearn.training import loop as training
from fei_sklearn.training.calibration import calibrate
from fei_sklearn.training.loop import TrainingOptions, train

CPU = torch.device("cpu")


class Losses(NamedTuple):
    loss: Tensor
    watched: Tensor


class Scripted(nn.Module):
    """An objective whose validation losses are given, and which notes what is done with it."""

    monitor = "watched"

    def __init__(self, validation=(), training=()):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.validation, self.training_losses = iter(validation), iter(training)
        self.batches, self.momenta, self.weights = [], [], []

    def forward(self, x, lengths=None, *, generator):
        if self.training:
            self.batches.append(x[:, 0, 0].int().tolist())
            factor = next(self.training_losses, 1.0)
        else:
            factor = next(self.validation)
            self.weights.append(self.weight.item())
        return Losses(self.weight * factor, torch.tensor(float(factor)))

    def update_target(self, momentum):
        self.momenta.append(momentum)


class Watcher:
    def __init__(self, stop_at=None):
        self.stop_at, self.begun, self.best_after = stop_at, 0, []

    def begin(self, best):
        self.best = best

    def begin_epoch(self):
        self.begun += 1

    def end_epoch(self, record):
        weights, epoch = self.best()
        self.best_after.append((weights["weight"].item(), epoch))
        return record["epoch"] == self.stop_at


def options(**changes):
    defaults = {
        "max_epochs": 3,
        "min_epoch_steps": 1,
        "batch_size": 512,
        "learning_rate": 0.01,
        "lr_decay": "cosine",
        "momentum": 0.9,
        "n_iter_no_change": None,
        "device": CPU,
        "precision": "32-true",
        "seed": 0,
    }
    return TrainingOptions(**(defaults | changes))


def numbered(n):
    """Series that hold their own number."""
    return Panel(np.arange(n, dtype=np.float32)[:, None, None] * np.ones((1, 1, 4), np.float32))


def noise_panel(n=24, n_channels=1, n_timepoints=20, lengths=None):
    values = np.random.default_rng(0).normal(size=(n, n_channels, n_timepoints)).astype(np.float32)
    if lengths is not None:
        values *= np.arange(n_timepoints) < lengths[:, None, None]
    return Panel(values, lengths)


def fei(width=16, seed=0, kind=FEIObjective):
    generator = torch.Generator().manual_seed(seed)
    encoder = FEIEncoder(1, width, generator=generator)
    return kind(encoder, width=width, n_timepoints=20, generator=generator)


@contextmanager
def learning_rates():
    """Learning rate of each optimiser step."""
    rates = []
    hook = register_optimizer_step_post_hook(lambda o, *_: rates.append(o.param_groups[0]["lr"]))
    yield rates
    hook.remove()


# Steps and schedules


@pytest.mark.parametrize(
    ("n", "batch_size", "min_epoch_steps", "n_steps", "used"),
    [
        (10, 4, 1, 3, 10),
        (10, 4, 3, 3, 10),
        (10, 4, 4, 6, 20),
        (10, 4, 10, 12, 40),
        (10, 512, 10, 10, 100),
        (9, 4, 1, 2, 8),  # a trailing series of its own is left out
        (9, 4, 5, 6, 24),
        (1, 4, 3, 3, 3),  # unless it is all there is
        (3, 1, 1, 3, 3),  # or batches of one were asked for
    ],
)
def test_steps_of_an_epoch(n, batch_size, min_epoch_steps, n_steps, used):
    objective = Scripted()
    changes = {"max_epochs": 2, "batch_size": batch_size, "min_epoch_steps": min_epoch_steps}
    with learning_rates() as rates:
        train(objective, numbered(n), options(**changes))
    assert len(rates) == len(objective.momenta) == len(objective.batches) == 2 * n_steps
    assert sum(map(len, objective.batches)) == 2 * used
    assert max(map(len, objective.batches)) <= batch_size


@pytest.mark.parametrize("n", [2, 9, 10, 11, 12])
@pytest.mark.parametrize("batch_size", [1, 2, 4, 100])
def test_a_pass_takes_each_series_once_in_a_new_order(n, batch_size):
    generator = torch.Generator().manual_seed(0)
    passes = [list(shuffled_batches(n, batch_size, generator)) for _ in range(6)]
    for batches in passes:
        rows = np.concatenate(batches)
        assert len(set(rows)) == len(rows) == n - (n % batch_size == 1 and 1 < batch_size < n)
        assert len(batches) == n_batches(n, batch_size)
    assert len({tuple(np.concatenate(batches)) for batches in passes}) > 1


def test_momentum_grows_linearly_to_one():
    objective = Scripted()
    changes = {"max_epochs": 4, "batch_size": 5, "min_epoch_steps": 3, "momentum": 0.6}
    history = train(objective, numbered(10), options(**changes)).history
    expected = [0.6 + 0.4 * step / 16 for step in range(16)]
    assert objective.momenta == pytest.approx(expected)
    assert [record["momentum"] for record in history] == pytest.approx(expected[3::4])


def test_learning_rate_warms_up_and_falls_along_a_cosine():
    changes = {"max_epochs": 10, "batch_size": 5, "min_epoch_steps": 6, "learning_rate": 0.02}
    with learning_rates() as rates:
        history = train(Scripted(), numbered(10), options(**changes)).history
    cosine = [0.5 * (1 + math.cos(math.pi * step / 57)) for step in range(57)]
    assert rates == pytest.approx([0.02 * f for f in (0.25, 0.5, 0.75, *cosine)])
    assert [record["learning_rate"] for record in history] == pytest.approx(rates[5::6])


def test_the_papers_own_schedule():
    papers = {"max_epochs": 100, "batch_size": 512, "learning_rate": 2e-4, "lr_decay": 0.9}
    with learning_rates() as rates:
        embedder = quick(encoder=8, min_epoch_steps=1, **papers).fit(np.eye(7, 4))
    expected = [2e-4 * 0.9**epoch for epoch in range(100)]
    assert rates == pytest.approx(expected)
    assert [record["learning_rate"] for record in embedder.history_] == pytest.approx(expected)
    assert embedder.n_iter_ == 100


def test_a_factor_of_one_keeps_the_learning_rate():
    with learning_rates() as rates:
        train(Scripted(), numbered(10), options(lr_decay=1.0, batch_size=5))
    assert rates == [0.01] * 6


# History


def test_history_is_plain_numbers():
    result = train(fei(), noise_panel(), options(), validation=noise_panel(8))
    losses = ("loss", "embedding_loss", "mask_loss", "unexplained")
    expected = {"epoch", "learning_rate", "momentum", "seconds"}
    expected |= {f"{part}_{loss}" for part in ("train", "valid") for loss in losses}
    assert [record["epoch"] for record in result.history] == [1, 2, 3]
    for record in json.loads(json.dumps(result.history)):
        assert set(record) == expected
        assert all(math.isfinite(value) for value in record.values())
        assert record["train_loss"] == pytest.approx(
            record["train_embedding_loss"] + record["train_mask_loss"], rel=1e-5
        )


def test_losses_are_means_over_the_series_not_over_the_batches():
    objective = Scripted(training=(1.0, 4.0))  # of 4 series and of 2
    history = train(objective, numbered(6), options(max_epochs=1, batch_size=4)).history
    assert history[0]["train_watched"] == pytest.approx(2.0)


@pytest.mark.parametrize("with_validation", [False, True])
def test_the_device_is_asked_once_an_epoch_for_each_panel(with_validation, monkeypatch):
    callers = []
    for name in ("item", "tolist", "__float__", "__int__", "__bool__", "cpu", "numpy"):
        monkeypatch.setattr(Tensor, name, noting(callers, name, getattr(Tensor, name)))
    run = training._Session(
        fei(), noise_panel(), noise_panel(9) if with_validation else None, options(batch_size=4)
    )
    callers.clear()
    for epoch in range(3):
        run.run_epoch(epoch)
    on_the_device = [c for c in callers if c not in ON_THE_CPU]
    assert on_the_device == [("record", "tolist")] * 3 * (1 + with_validation)


#: The order of the series, and the step counts of AdamW, are never on the device.
ON_THE_CPU = {("shuffled_batches", "numpy"), ("_get_value", "item")}


def noting(callers, name, method):
    def noted(*arguments, **named):
        callers.append((sys._getframe(1).f_code.co_name, name))
        return method(*arguments, **named)

    return noted


# Validation and early stopping


def test_validation_sees_the_same_masks_each_epoch():
    class Noting(FEIObjective):
        def sample_masks(self, *arguments):
            masks = super().sample_masks(*arguments)
            seen[self.training].append(masks)
            return masks

    seen = {True: [], False: []}
    train(fei(kind=Noting), noise_panel(), options(), validation=noise_panel(9))
    first, *others = seen[False]
    assert len(first) >= 64 and all(torch.equal(first, masks) for masks in others)
    first, *others = seen[True]
    assert len(others) == 2 and not any(torch.equal(first, masks) for masks in others)


def test_validation_changes_nothing():
    with_it = train(fei_a := fei(), noise_panel(), options(), validation=noise_panel(9))
    without = train(fei_b := fei(), noise_panel(), options())
    if with_it.best_epoch == 3:
        for a, b in zip(fei_a.parameters(), fei_b.parameters(), strict=True):
            assert torch.equal(a, b)
    for a, b in zip(with_it.history, without.history, strict=True):
        assert a["train_loss"] == b["train_loss"]


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
    objective = Scripted(losses)
    changes = {"max_epochs": 7, "n_iter_no_change": patience, "lr_decay": 1.0}
    result = train(objective, numbered(8), options(**changes), validation=numbered(100))
    assert [record["valid_watched"] for record in result.history] == list(losses[:n_epochs])
    assert result.best_epoch == best
    assert len(set(objective.weights)) == n_epochs  # an epoch does change them
    assert objective.weight.item() == objective.weights[best - 1]


@pytest.mark.parametrize("n", [1, 2, 7, 63, 64, 65, 129, 513])
@pytest.mark.parametrize("batch_size", [1, 16, 64, 512])
def test_validation_takes_all_series_equally_often_and_none_alone(n, batch_size):
    batches = list(validation_batches(n, batch_size))
    counts = np.bincount(np.concatenate(batches), minlength=n)
    assert len(set(counts)) == 1 and counts.sum() >= 64
    assert min(map(len, batches)) >= 32
    assert max(map(len, batches)) <= max(batch_size, 64)


def test_without_validation_a_run_goes_to_its_end():
    objective = Scripted(training=(1, 2, 3, 4))
    result = train(objective, numbered(8), options(max_epochs=4, n_iter_no_change=1))
    assert len(result.history) == result.best_epoch == 4
    assert "valid_loss" not in result.history[0]


def test_the_objective_is_left_in_evaluation_mode():
    objective = fei()
    train(objective, noise_panel(), options(max_epochs=1))
    assert not any(module.training for module in objective.modules())


def test_a_watcher_may_stop_a_run():
    watcher = Watcher(stop_at=2)
    result = train(Scripted(), numbered(8), options(max_epochs=5), watcher=watcher)
    assert len(result.history) == watcher.begun == 2


def test_a_watcher_gets_at_the_weights_that_the_run_would_leave():
    objective, watcher = Scripted((5, 4, 6, 3)), Watcher()
    train(objective, numbered(8), options(max_epochs=4), validation=numbered(9), watcher=watcher)
    assert [epoch for _, epoch in watcher.best_after] == [1, 2, 2, 4]
    weights = objective.weights
    assert [w for w, _ in watcher.best_after] == [weights[0], weights[1], weights[1], weights[3]]


@pytest.mark.parametrize(
    ("n", "fraction", "n_validation"),
    [(7, 0.1, 0), (8, 0.1, 1), (8, 0.0, 0), (30, 0.1, 3), (30, 0.5, 15), (300, 0.01, 3)],
)
def test_split(n, fraction, n_validation):
    rows, held_out = split(n, fraction, seed=0)
    assert len(held_out) == n_validation
    assert sorted([*rows, *held_out]) == list(range(n))
    assert [*split(n, fraction, seed=0)[1]] == [*held_out]


@pytest.mark.parametrize("fraction", [0.94, 0.999])
@pytest.mark.parametrize("n", [8, 9])
def test_some_series_are_left_to_train_on(n, fraction):
    assert len(split(n, fraction, seed=0)[0]) >= 2


def test_no_validation_below_8_series_or_where_none_is_asked_for():
    X = np.random.default_rng(0).normal(size=(8, 12))
    assert "valid_loss" in quick().fit(X).history_[0]
    assert "valid_loss" not in quick().fit(X[:7]).history_[0]
    for fraction in (None, 0, 0.0):
        assert "valid_loss" not in quick(validation_fraction=fraction).fit(X).history_[0]


# Losses that are no numbers


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_an_error_with_a_remedy(loss):
    with pytest.raises(ValueError, match=r"became (nan|-inf) in epoch 2.*learning_rate.*0\.01"):
        train(Scripted(training=(1.0, loss)), numbered(8), options())


def test_a_learning_rate_far_too_high_is_refused_in_fit():
    embedder = quick(max_epochs=5, learning_rate=1e30)
    with pytest.raises(ValueError, match=r"learning_rate \(now 1e\+30\)"):
        embedder.fit(np.random.default_rng(0).normal(size=(9, 12)))
    assert not hasattr(embedder, "weights_")


# It learns


def test_training_explains_more_and_more():
    generator = np.random.default_rng(0)
    time, frequency = np.arange(48) / 48, generator.integers(1, 12, size=(96, 1))
    X = np.sin(2 * np.pi * (frequency * time + generator.random((96, 1))))
    params = {"max_epochs": 12, "min_epoch_steps": 4, "n_iter_no_change": None}
    embedder = quick(encoder=32, batch_size=32, learning_rate=3e-3, **params).fit(X)
    curve = [record["valid_unexplained"] for record in embedder.history_]
    assert min(curve) < 0.8 * curve[0]
    assert curve[embedder.best_epoch_ - 1] == min(curve)


# Calibration


def clean_statistics(encoder, panel, batches):
    """Mean over the batches of the stem's mean and unbiased variance, in NumPy."""
    weight = encoder.stem.conv.weight.detach().numpy().astype(np.float64)
    means, variances = [], []
    for rows in batches:
        lengths = panel.lengths if panel.lengths is not None else np.full(len(panel), 20)
        maps = [conv1d(panel.values[i, :, : lengths[i]].astype(np.float64), weight) for i in rows]
        values = np.concatenate(maps, axis=1)
        means.append(values.mean(axis=1))
        variances.append(values.var(axis=1, ddof=1))
    return np.mean(means, axis=0), np.mean(variances, axis=0)


LENGTHS = np.random.default_rng(1).integers(2, 21, size=24)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["dense", "ragged"])
@pytest.mark.parametrize("batch_size", [7, 24, 512])
def test_calibration_is_the_mean_over_batches_of_clean_statistics(batch_size, lengths):
    panel = noise_panel(n_channels=2, lengths=lengths)
    encoder = FEIEncoder(2, 16, generator=torch.Generator().manual_seed(0))
    encoder.stem.norm.running_mean.fill_(7.0)  # is forgotten
    calibrate(encoder, panel, batch_size=batch_size, device=CPU, seed=3)
    batches = list(shuffled_batches(24, batch_size, torch.Generator().manual_seed(3)))
    mean, variance = clean_statistics(encoder, panel, batches)
    np.testing.assert_allclose(encoder.stem.norm.running_mean, mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(encoder.stem.norm.running_var, variance, rtol=1e-4)


def test_calibration_does_not_mind_a_sorted_panel():
    panel = noise_panel(128)
    panel.values[64:] += 5.0
    encoder = FEIEncoder(1, 16, generator=torch.Generator().manual_seed(0))
    calibrate(encoder, panel, batch_size=64, device=CPU, seed=0)
    mean, variance = clean_statistics(encoder, panel, [np.arange(128)])
    np.testing.assert_allclose(encoder.stem.norm.running_mean, mean, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(encoder.stem.norm.running_var, variance, rtol=0.1)


@pytest.mark.parametrize("momentum", [0.1, 0.5, None])
def test_calibration_leaves_everything_else_as_it_was(momentum):
    encoder = FEIEncoder(1, 16)
    norms = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm1d)]
    for norm in norms:
        norm.momentum = momentum
    before = [p.clone() for p in encoder.parameters()]
    calibrate(encoder, noise_panel(), batch_size=8, device=CPU, seed=0)
    assert [norm.momentum for norm in norms] == [momentum] * len(norms)
    assert not any(module.training for module in encoder.modules())
    for was, now in zip(before, encoder.parameters(), strict=True):
        assert torch.equal(was, now) and now.grad is None


def test_calibration_restores_the_momentum_when_it_fails():
    encoder = FEIEncoder(1, 16)
    with pytest.raises(RuntimeError):
        calibrate(encoder, noise_panel(n_channels=2), batch_size=8, device=CPU, seed=0)
    assert encoder.stem.norm.momentum == 0.1 and not encoder.stem.norm.training


def test_the_statistics_in_use_are_the_calibrated_ones():
    X = np.random.default_rng(0).normal(size=(20, 20))
    embedder = quick(scaling=None, validation_fraction=None, batch_size=512).fit(X)
    panel = Panel(X[:, np.newaxis].astype(np.float32))
    norm = embedder.encoder_.stem.norm
    mean, variance = clean_statistics(embedder.encoder_, panel, [np.arange(20)])
    np.testing.assert_allclose(norm.running_mean, mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(norm.running_var, variance, rtol=1e-4)
