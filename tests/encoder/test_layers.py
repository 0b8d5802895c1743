"""Layers: the numbers of torch's own, in the layout that is fastest; no syncs in a step."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from fei_sklearn.encoder.layers import Conv1d, MaskedBatchNorm1d, time_first, valid_mask
from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.readout.statistics import pool


def test_a_mask_is_one_on_the_steps_of_a_series():
    mask = valid_mask(torch.tensor([0, 2, 3]), 3)
    assert mask.tolist() == [[[0.0, 0.0, 0.0]], [[1.0, 1.0, 0.0]], [[1.0, 1.0, 1.0]]]
    assert valid_mask(torch.tensor([1]), 2, torch.bool).dtype == torch.bool


# Convolution


@pytest.mark.parametrize("n_channels", [1, 5])
@pytest.mark.parametrize("n_timepoints", [1, 2, 3, 4, 5, 6, 12])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3])
def test_maps_and_gradients_are_torchs(kernel, stride, n_timepoints, n_channels):
    generator = torch.Generator().manual_seed(0)
    conv = Conv1d(n_channels, 6, kernel, stride=stride, padding=kernel // 2, bias=False).double()
    x = torch.randn((3, n_channels, n_timepoints), generator=generator, dtype=torch.float64)
    leaves = x.requires_grad_(), conv.weight
    out = conv(x)
    expected = F.conv1d(x, conv.weight, None, stride, kernel // 2)
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)
    grad = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    pairs = (torch.autograd.grad(maps, leaves, grad) for maps in (out, expected))
    for got, wanted in zip(*pairs, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)


# Batch norm


def test_batch_norm_and_its_statistics_are_torchs():
    x = torch.randn(6, 4, 9, dtype=torch.float64)
    ours = MaskedBatchNorm1d(4).double()
    torchs = nn.BatchNorm1d(4).double()
    for norm, series in ((ours, time_first(x)), (torchs, x)):
        norm(series)
    for name, value in torchs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-12, atol=0)
    torch.testing.assert_close(ours(time_first(x)), torchs(x), rtol=1e-12, atol=1e-12)


def test_a_single_value_is_normalised_by_the_running_statistics():
    norm = MaskedBatchNorm1d(2).train()
    norm.running_mean.fill_(1.0)
    norm.running_var.fill_(4.0)
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    out = norm(torch.full((1, 2, 1), 5.0))
    torch.testing.assert_close(out, torch.full((1, 2, 1), 2.0), rtol=1e-5, atol=0)
    for name, value in norm.state_dict().items():
        assert torch.equal(value, before[name])


# Layout


@pytest.mark.parametrize("n_channels", [1, 2])
def test_in_training_every_map_keeps_the_layout(n_channels):
    layouts = {True: set(), False: set()}

    def note(module, _, out):
        if min(out.shape[1:]) > 1:
            layouts[module.training].add(out.stride()[1] == 1)

    encoder = FEIEncoder(n_channels, 16)
    for module in encoder.modules():
        if isinstance(module, Conv1d | MaskedBatchNorm1d):
            module.register_forward_hook(note)
    x = torch.randn(4, n_channels, 64)
    encoder.train()(x)
    encoder.eval()(x)
    assert layouts == {True: {True}, False: {False}}


class GradientLayouts(TorchDispatchMode):
    """Note for each operation whether its incoming gradient has channels side by side."""

    def __init__(self):
        super().__init__()
        self.of = {}

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if operation.__name__.endswith("_backward.default"):
            # GELU receives the transposed, plain array; images keep their channels side by side
            grad = args[0]
            kept = grad.is_contiguous() if grad.ndim == 3 else grad.stride(1) == 1
            self.of.setdefault(operation.__name__, []).append(kept)
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("statistic", ["mean", "max", "std"])
def test_every_gradient_keeps_the_layout(statistic):
    encoder = FEIEncoder(2, 16).train()
    loss = pool(encoder(torch.randn(4, 2, 64)), statistic=statistic).square().sum()
    with GradientLayouts() as layouts:
        loss.backward()
    names = ("native_batch_norm_backward", "gelu_backward", "convolution_backward")
    for name in names:
        of_operation = layouts.of[f"{name}.default"]
        assert len(of_operation) >= 17 and all(of_operation)
