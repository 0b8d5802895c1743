"""Statistics in torch: equal to the compiled loops bit by bit, and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fake_device import META, FakeAccelerator, meta_step
from torch import nn
from training_runs import options

from fei_sklearn.data import Panel
from fei_sklearn.encoder.dilated import DilatedEncoder
from fei_sklearn.objectives.supervised import LinearHead, SupervisedObjective
from fei_sklearn.readout.front import FrontReadout, fit_thresholds
from fei_sklearn.readout.front_numba import write_features
from fei_sklearn.readout.front_torch import FrontModule, features_on_device
from fei_sklearn.readout.spec import FRONT_VIEWS, FrontSpec

CPU = torch.device("cpu")


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("length", [1, 2, 3, 9, 15, 24, 131, 512, 5000])
def test_maxima_and_counts_have_the_bits_of_the_loops(length):
    kernels = drawn(6, 16, 9)
    dilations = 2 ** np.arange(6)
    thresholds = drawn(4, 96, seed=1)
    series = drawn(5, length, seed=2)
    series[1, length // 3 : length // 2] = 0
    lengths = np.array([length, length, max(1, length // 2), length, length])
    bank = (kernels, dilations, thresholds)
    expected = np.empty((5, 7, 96), np.float32)
    write_features(series, lengths, *bank, expected)
    actual = features_on_device(series, lengths, *bank, CPU)
    assert np.array_equal(actual[:, :6], expected[:, :6])
    np.testing.assert_allclose(actual[:, 6], expected[:, 6], atol=1e-6)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_device_has_the_same_bits():
    kernels = drawn(6, 16, 9)
    bank = (kernels, 2 ** np.arange(6), drawn(4, 96, seed=1))
    series = drawn(70, 300, seed=2)
    lengths = np.full(70, 300)
    expected = features_on_device(series, lengths, *bank, CPU)
    actual = features_on_device(series, lengths, *bank, torch.device("cuda"))
    assert np.array_equal(actual[:, :6], expected[:, :6])
    np.testing.assert_allclose(actual[:, 6], expected[:, 6], atol=1e-6)


def module_and_readout(spec, x, **options):
    encoder = DilatedEncoder(generator=torch.Generator().manual_seed(0)).eval()
    kernels = encoder.front_bank()
    thresholds = fit_thresholds(kernels, Panel(x), FRONT_VIEWS)
    tensors = {view: torch.from_numpy(of_view) for view, of_view in thresholds.items()}
    return FrontModule(encoder, spec, tensors, **options), FrontReadout(kernels, spec, thresholds)


def assert_close(actual, expected):
    """A value that rounds to the other side of a threshold moves a share by one step."""
    difference = np.abs(actual - expected)
    assert np.quantile(difference, 0.99) < 1e-5
    assert difference.max() < 0.1


@pytest.mark.parametrize("lengths", [None, np.array([90, 2, 3, 47, 90])], ids=["dense", "ragged"])
@pytest.mark.parametrize("n_groups", [1, 2])
def test_the_module_has_the_features_of_the_readout(n_groups, lengths):
    x = drawn(5, 1, 90)
    if lengths is not None:
        x *= np.arange(90) < lengths[:, None, None]
    module, readout = module_and_readout(FrontSpec(FRONT_VIEWS, n_groups), x)
    expected = readout.embed(Panel(x, lengths), device=CPU)
    steps = None if lengths is None else torch.from_numpy(lengths)
    actual = module(torch.from_numpy(x), steps).detach().numpy()
    assert_close(actual, expected)


def test_channels_stand_side_by_side():
    x = drawn(4, 3, 60)
    module, readout = module_and_readout(FrontSpec(), x)
    expected = readout.embed(Panel(x), device=CPU)
    assert_close(module(torch.from_numpy(x)).detach().numpy(), expected)


def test_gradients_reach_kernels_and_are_finite():
    x = drawn(4, 1, 60)
    x[0] = 0  # a constant series
    module, _ = module_and_readout(FrontSpec(), x)
    features = module(torch.from_numpy(x))
    for group in FrontSpec().feature_groups():
        module.zero_grad()
        features[:, group.columns].square().sum().backward(retain_graph=True)
        gradient = module.encoder.front.bank.weight.grad
        assert torch.isfinite(gradient).all()
        assert gradient.any() == (group.statistic != "wins")


def test_an_encoder_without_a_front_end_is_refused():
    with pytest.raises(ValueError, match="Conv1d has no dilated front end"):
        FrontModule(nn.Conv1d(1, 8, 3), FrontSpec(), {})


# A device that the host should not wait for


def test_features_on_a_device_need_neither_float64_nor_a_read():
    bank = (drawn(6, 16, 9), 2 ** np.arange(6), drawn(4, 96, seed=1))
    series = drawn(7, 60, seed=2)
    lengths = np.array([60, 60, 30, 2, 60, 30, 59])
    expected = features_on_device(series, lengths, *bank, CPU)
    with FakeAccelerator(CPU) as accelerator:
        actual = features_on_device(series, lengths, *bank, CPU)
    assert accelerator.n_calls > 200
    assert np.array_equal(actual, expected)


def test_the_first_wait_for_features_on_a_device_is_their_copy_to_the_host():
    bank = (drawn(6, 16, 9), 2 ** np.arange(6), drawn(4, 96, seed=1))
    series = drawn(7, 60, seed=2)
    with FakeAccelerator(META), pytest.raises(NotImplementedError, match="copy out of meta"):
        features_on_device(series, np.full(7, 60), *bank, META)


@pytest.mark.parametrize("lengths", [None, [90, 2, 3, 47, 90]], ids=["equal", "unequal"])
@pytest.mark.parametrize("weights", [None, torch.ones(5)], ids=["plain", "weighted"])
def test_a_fine_tuning_step_keeps_host_and_device_apart(lengths, weights):
    module, _ = module_and_readout(FrontSpec(FRONT_VIEWS, 2), drawn(5, 1, 90))
    n_features = FrontSpec(FRONT_VIEWS, 2).n_features
    head = LinearHead(*torch.ones(2, n_features), torch.zeros(3, n_features), torch.zeros(3))
    objective = SupervisedObjective(module, head, class_weight=torch.ones(3))
    batch = [torch.empty(5, 1, 90), None, torch.zeros(5, dtype=torch.int64)]
    if lengths is not None:
        batch[1] = torch.tensor(lengths)
    if weights is not None:
        batch.append(weights)
    on_meta = [None if tensor is None else tensor.to(META) for tensor in batch]
    losses = meta_step(objective, options(device=META), *on_meta)
    assert losses.loss.device == META
