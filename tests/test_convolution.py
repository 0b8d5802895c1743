"""Convolutions of training by matrix products: the maps and gradients of torch's own."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from fei_sklearn.encoder import layers as convolution
from fei_sklearn.encoder.layers import Conv1d


@pytest.mark.parametrize("n_channels", [1, 5])
@pytest.mark.parametrize("n_timepoints", [1, 2, 3, 4, 5, 6, 12])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("kernel", "wide_in", "wide_out"),
    [(1, 512, 256), (3, 512, 256), (3, 512, 4), (3, 1, 4)],
    ids=["shortcut", "narrow", "wide out", "wide"],
)
def test_maps_and_gradients_are_torchs(
    kernel, wide_in, wide_out, stride, n_timepoints, n_channels, monkeypatch
):
    monkeypatch.setattr(convolution, "WIDE_IN", wide_in)
    monkeypatch.setattr(convolution, "WIDE_OUT", wide_out)
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


def test_wide_ones_go_by_matrix_products(monkeypatch):
    used = []
    windows = convolution._windows
    monkeypatch.setattr(convolution, "_windows", lambda *a: used.append(1) or windows(*a))
    x = torch.randn((2, convolution.WIDE_IN, 6), requires_grad=True)
    for n_out, n_uses in ((convolution.WIDE_OUT - 1, 0), (convolution.WIDE_OUT, 2)):
        used.clear()
        Conv1d(convolution.WIDE_IN, n_out, 3, padding=1, bias=False)(x).sum().backward()
        assert len(used) == n_uses
    with torch.autocast("cpu", torch.bfloat16):  # which knows no derivative of ours
        out = Conv1d(convolution.WIDE_IN, convolution.WIDE_OUT, 3, padding=1, bias=False)(x)
    used.clear()
    out.sum().backward()
    assert out.dtype == torch.bfloat16 and not used
