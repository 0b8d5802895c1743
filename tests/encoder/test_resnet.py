"""The residual network: maps against NumPy, padding, shapes, sizes and initial weights."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from reference import arrays_of, encode, weights_by_rule
from scipy import stats
from torch import nn

from fei_sklearn.encoder.resnet import ENCODER_WIDTHS, FEIEncoder
from fei_sklearn.readout.statistics import pool

strides = pytest.mark.parametrize("stride", [1, 2])
modes = pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(n_channels: int, width: int, stride: int) -> FEIEncoder:
    """Encoder in float64 with weights and statistics far from those of initialisation."""
    encoder = FEIEncoder(n_channels, width, stride, generator=seeded(0)).double()
    with torch.no_grad():
        for name, value in encoder.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                value.copy_(torch.from_numpy(weights_by_rule(name, tuple(value.shape))))
    return encoder


def panel(n: int, n_channels: int, n_timepoints: int, seed: int = 0) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.normal(size=(n, n_channels, n_timepoints)))


def assert_same_statistics(encoder: nn.Module, expected: dict[str, np.ndarray]) -> None:
    for name, value in arrays_of(encoder.state_dict()).items():
        if "running" in name:
            np.testing.assert_allclose(value, expected[name], rtol=1e-9, err_msg=name)


# Against NumPy


@modes
@strides
@pytest.mark.parametrize(
    ("n_channels", "width", "n_timepoints"), [(1, 8, 36), (3, 8, 37), (2, 32, 19)]
)
def test_maps_of_all_stages_are_the_references(
    n_channels: int, width: int, n_timepoints: int, stride: int, training: bool
) -> None:
    encoder = build(n_channels, width, stride).train(training)
    params = arrays_of(encoder.state_dict())
    x = panel(4, n_channels, n_timepoints)
    with torch.no_grad():
        maps = encoder.stages(x)
    expected = encode(list(x.numpy()), params, stride=stride, training=training)
    assert len(maps) == len(expected) == 4
    for (actual, lengths), stage in zip(maps, expected, strict=True):
        assert lengths is None
        np.testing.assert_allclose(actual.numpy(), np.stack(stage), rtol=1e-9, atol=1e-12)
    assert_same_statistics(encoder, params)


@modes
def test_forward_is_the_last_stage(training: bool) -> None:
    encoder = build(2, 16, 2).train(training)
    x = panel(3, 2, 30)
    with torch.no_grad():
        last, _ = copy.deepcopy(encoder).stages(x)[-1]
        assert torch.equal(encoder(x), last)


@modes
@strides
def test_series_of_unequal_length_are_the_references(stride: int, training: bool) -> None:
    """The reference computes each series without padding, and statistics of its own steps."""
    lengths = [40, 7, 23, 2, 40, 16]
    series = [panel(1, 2, length, seed)[0] for seed, length in enumerate(lengths)]
    x = torch.full((6, 2, 40), 7.5, dtype=torch.float64)  # padding is ignored
    for row, s in zip(x, series, strict=True):
        row[:, : s.shape[1]] = s
    encoder = build(2, 16, stride).train(training)
    params = arrays_of(encoder.state_dict())
    with torch.no_grad():
        maps = encoder.stages(x, torch.tensor(lengths))
    expected = encode([s.numpy() for s in series], params, stride=stride, training=training)
    for (actual, n_steps), stage in zip(maps, expected, strict=True):
        assert n_steps is not None
        assert n_steps.tolist() == [s.shape[1] for s in stage]
        means = np.stack([s.mean(axis=1) for s in stage])
        np.testing.assert_allclose(pool(actual, n_steps).numpy(), means, rtol=1e-9, atol=1e-12)
        for row, s in zip(actual.numpy(), stage, strict=True):
            np.testing.assert_allclose(row[:, : s.shape[1]], s, rtol=1e-9, atol=1e-12)
            assert not row[:, s.shape[1] :].any()
    assert_same_statistics(encoder, params)


@modes
@strides
@pytest.mark.parametrize("n_timepoints", [12, 13, 31, 32])
def test_rows_padded_alike_are_as_without_padding(
    n_timepoints: int, stride: int, training: bool
) -> None:
    x = panel(5, 3, n_timepoints)
    padded = torch.cat([x, torch.zeros(5, 3, 9, dtype=x.dtype)], dim=-1)
    whole, cut = (build(3, 16, stride).train(training) for _ in range(2))
    with torch.no_grad():
        expected = whole(x)
        actual, n_steps = cut.stages(padded, torch.full((5,), n_timepoints))[-1]
    assert n_steps is not None
    assert (n_steps == expected.shape[2]).all()
    kept = actual[:, :, : expected.shape[2]]
    torch.testing.assert_close(kept, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(pool(actual, n_steps), expected.mean(dim=-1), rtol=1e-9, atol=1e-12)
    assert_same_statistics(cut, arrays_of(whole.state_dict()))
    if training:
        assert not torch.equal(
            whole.stem.norm.running_mean, build(3, 16, stride).stem.norm.running_mean
        )


def test_gradients_of_padded_rows_are_as_without_padding() -> None:
    x = panel(4, 2, 21)
    padded = torch.cat([x, torch.ones(4, 2, 6, dtype=x.dtype)], dim=-1)
    whole = build(2, 16, 2).train()
    cut = build(2, 16, 2).train()
    weight = torch.from_numpy(weights_by_rule("direction", (16, 1)))
    (whole(x).mean(dim=-1) @ weight).square().sum().backward()
    (pool(*cut.stages(padded, torch.full((4,), 21))[-1]) @ weight).square().sum().backward()
    for (name, p), q in zip(whole.named_parameters(), cut.parameters(), strict=True):
        assert p.grad is not None
        torch.testing.assert_close(q.grad, p.grad, rtol=1e-8, atol=1e-11, msg=name)


# Shapes and sizes


@strides
@pytest.mark.parametrize("width", [8, 128, 256])
def test_output_shapes(width: int, stride: int) -> None:
    encoder = FEIEncoder(2, width, stride, generator=seeded(0)).eval()
    lengths = range(2, 71) if width == 8 else (2, 3, 17, 70)
    for n_timepoints in lengths:
        n_steps = math.ceil(n_timepoints // 2 / stride**4)
        with torch.no_grad():
            maps = encoder(torch.zeros(1, 2, n_timepoints))
        assert maps.shape == (1, width, n_steps)
        assert maps.isfinite().all()
        assert len(encoder.step_positions(n_timepoints)) == n_steps


@strides
@modes
def test_shortest_series_have_finite_maps(stride: int, training: bool) -> None:
    encoder = FEIEncoder(1, 8, stride, generator=seeded(0)).train(training)
    for n_samples in (1, 2):
        for n_timepoints in (2, 3, 4):
            maps = encoder(panel(n_samples, 1, n_timepoints).float())
            assert maps.isfinite().all()


def test_widths_of_stages() -> None:
    maps = FEIEncoder(1, 64, generator=seeded(0)).stages(torch.randn(2, 1, 64))
    assert [m.shape[1] for m, _ in maps] == [8, 16, 32, 64]
    assert [m.shape[2] for m, _ in maps] == [16, 8, 4, 2]


@pytest.mark.parametrize(
    ("width", "stride", "n_parameters"), [(256, 2, 962_320), (128, 2, 242_352), (128, 1, 242_064)]
)
def test_number_of_parameters_is_that_of_the_paper(
    width: int, stride: int, n_parameters: int
) -> None:
    encoder = FEIEncoder(1, width, stride, generator=seeded(0))
    assert sum(p.numel() for p in encoder.parameters()) == n_parameters


def test_published_widths() -> None:
    assert ENCODER_WIDTHS == {"tiny": 128, "small": 256, "norm": 512, "big": 1024}


@pytest.mark.parametrize("width", [0, 4, 12, -8])
def test_invalid_width_is_named(width: int) -> None:
    with pytest.raises(ValueError, match=f"width.*{width}"):
        FEIEncoder(1, width)


@pytest.mark.parametrize("stride", [0, 3])
def test_invalid_stride_is_named(stride: int) -> None:
    with pytest.raises(ValueError, match=f"stride.*{stride}"):
        FEIEncoder(1, 8, stride)


# Initial weights


def test_initial_weights_are_those_of_the_generator() -> None:
    first, again, other = (FEIEncoder(2, 16, generator=seeded(s)).state_dict() for s in (1, 1, 2))
    for name, value in first.items():
        assert torch.equal(value, again[name])
        if "conv" in name:
            assert not torch.equal(value, other[name])


def test_global_random_state_is_untouched() -> None:
    before = torch.get_rng_state()
    FEIEncoder(2, 16, generator=seeded(0))
    assert torch.equal(before, torch.get_rng_state())


def test_initial_distribution_is_torchs_default() -> None:
    encoder = FEIEncoder(3, 128, generator=seeded(3))
    convolutions = [m for m in encoder.modules() if isinstance(m, nn.Conv1d)]
    assert len(convolutions) == 1 + 8 * 2 + 4
    for conv in convolutions:
        bound = 1 / math.sqrt(conv.in_channels * conv.kernel_size[0])
        weight = conv.weight.detach().numpy().ravel()
        assert np.abs(weight).max() <= bound
        assert stats.kstest(weight / bound, stats.uniform(-1, 2).cdf).pvalue > 1e-4
        assert conv.bias is None
        with torch.random.fork_rng():
            torch.manual_seed(0)
            standard = nn.Conv1d(conv.in_channels, conv.out_channels, conv.kernel_size, bias=False)
        both = weight, standard.weight.detach().numpy().ravel()
        assert stats.ks_2samp(*both).pvalue > 1e-4


def test_initial_batch_norm_is_the_identity() -> None:
    encoder = FEIEncoder(1, 16, generator=seeded(0))
    norms = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm1d)]
    assert len(norms) == 1 + 8 * 2 + 4
    for norm in norms:
        assert (norm.eps, norm.momentum, norm.affine) == (1e-5, 0.1, True)
        for ones in (norm.weight, norm.running_var):
            assert (ones == 1).all()
        for zeros in (norm.bias, norm.running_mean, norm.num_batches_tracked):
            assert (zeros == 0).all()
