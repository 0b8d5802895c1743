"""Calibration of batch-norm statistics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from quick import quick
from reference import conv1d
from torch import nn
from training_runs import CPU, N_TIMEPOINTS, noise_panel

from fei_sklearn.data import Panel
from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.training.batches import shuffled_batches
from fei_sklearn.training.calibration import calibrate

LENGTHS = np.random.default_rng(1).integers(2, N_TIMEPOINTS + 1, size=24)


def encoder_of(n_channels):
    generator = torch.Generator().manual_seed(0)
    return FEIEncoder(n_channels, 16, generator=generator)


def clean_statistics(encoder, panel, batches):
    """Return the mean over the batches of the stem's mean and unbiased variance, in NumPy."""
    weight = encoder.stem.conv.weight.detach().numpy().astype(np.float64)
    lengths = panel.lengths
    if lengths is None:
        lengths = np.full(len(panel), panel.max_length)
    means = []
    variances = []
    for rows in batches:
        maps = []
        for row in rows:
            series = panel.values[row, :, : lengths[row]]
            maps.append(conv1d(series.astype(np.float64), weight))
        values = np.concatenate(maps, axis=1)
        means.append(values.mean(axis=1))
        variances.append(values.var(axis=1, ddof=1))
    return np.mean(means, axis=0), np.mean(variances, axis=0)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["dense", "ragged"])
@pytest.mark.parametrize("batch_size", [7, 24, 512])
def test_statistics_are_means_over_batches_of_clean_series(batch_size, lengths):
    panel = noise_panel(n_channels=2, lengths=lengths)
    encoder = encoder_of(n_channels=2)
    norm = encoder.stem.norm
    norm.running_mean.fill_(7.0)  # is forgotten
    calibrate(encoder, panel, batch_size=batch_size, device=CPU, seed=3)
    order = torch.Generator().manual_seed(3)
    batches = shuffled_batches(24, batch_size, order)
    mean, variance = clean_statistics(encoder, panel, batches)
    np.testing.assert_allclose(norm.running_mean, mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(norm.running_var, variance, rtol=1e-4)


def test_a_sorted_panel_does_not_bias_the_statistics():
    panel = noise_panel(128)
    panel.values[64:] += 5.0
    encoder = encoder_of(n_channels=1)
    norm = encoder.stem.norm
    calibrate(encoder, panel, batch_size=64, device=CPU, seed=0)
    mean, variance = clean_statistics(encoder, panel, [np.arange(128)])
    np.testing.assert_allclose(norm.running_mean, mean, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(norm.running_var, variance, rtol=0.1)


@pytest.mark.parametrize("momentum", [0.1, 0.5, None])
def test_everything_else_stays_as_it_was(momentum):
    encoder = FEIEncoder(1, 16)
    norms = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm1d)]
    for norm in norms:
        norm.momentum = momentum
    before = [parameter.clone() for parameter in encoder.parameters()]
    calibrate(encoder, noise_panel(), batch_size=8, device=CPU, seed=0)
    assert all(norm.momentum == momentum for norm in norms)
    assert not any(module.training for module in encoder.modules())
    for old, parameter in zip(before, encoder.parameters(), strict=True):
        assert torch.equal(old, parameter)
        assert parameter.grad is None


def test_the_momentum_is_restored_after_an_error():
    encoder = FEIEncoder(1, 16)
    panel = noise_panel(n_channels=2)
    with pytest.raises(RuntimeError):
        calibrate(encoder, panel, batch_size=8, device=CPU, seed=0)
    norm = encoder.stem.norm
    assert norm.momentum == 0.1
    assert not norm.training


def test_an_encoder_without_batch_norm_is_not_run():
    class Refusing(nn.Module):
        def forward(self, x):
            raise AssertionError("The encoder was run.")

    encoder = Refusing()
    calibrate(encoder, noise_panel(), batch_size=8, device=CPU, seed=0)
    assert not encoder.training


def test_a_fitted_embedder_has_calibrated_statistics():
    X = np.random.default_rng(0).normal(size=(20, 20))
    embedder = quick(scaling=None, validation_fraction=None, batch_size=512)
    embedder.fit(X)
    panel = Panel(X[:, np.newaxis].astype(np.float32))
    encoder = embedder.encoder_
    norm = encoder.stem.norm
    mean, variance = clean_statistics(encoder, panel, [np.arange(20)])
    np.testing.assert_allclose(norm.running_mean, mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(norm.running_var, variance, rtol=1e-4)
