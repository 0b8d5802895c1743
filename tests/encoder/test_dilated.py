"""The dilated encoder: its front end against NumPy, padding, strides and initial kernels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fake_device import META, meta_step
from training_runs import options

from fei_sklearn.encoder.dilated import DilatedEncoder, FrontBank, convolve
from fei_sklearn.encoder.folding import fold_batch_norm
from fei_sklearn.encoder.maps import has_blocks, has_front, has_stages, has_step_positions
from fei_sklearn.objectives.fei import FEIObjective

modes = pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def build(stride=2):
    """Return an encoder in float64 whose norm is far from the identity."""
    encoder = DilatedEncoder(stride=stride, generator=seeded()).double()
    norm = encoder.front.norm
    norm.weight.data.uniform_(0.5, 2, generator=seeded(1))
    norm.bias.data.normal_(generator=seeded(2))
    norm.running_mean.normal_(generator=seeded(3))
    norm.running_var.uniform_(0.1, 4, generator=seeded(4))
    return encoder


def panel(n, n_timepoints, seed=5):
    return torch.randn((n, 1, n_timepoints), generator=seeded(seed)).double()


def correlated(series, kernel, dilation):
    """Return the correlation of a series with a dilated kernel, zeros around it, in NumPy."""
    spread = np.zeros(8 * dilation + 1)
    spread[::dilation] = kernel
    padded = np.pad(series, 4 * dilation)
    return np.correlate(padded, spread, mode="valid")


def test_maps_are_dilated_correlations():
    bank = FrontBank().double()
    bank.weight.data.normal_(generator=seeded())
    x = panel(2, 50)
    maps = bank(x).detach().numpy()
    kernels = bank.weight.detach().numpy()
    kernels = kernels - kernels.mean(axis=-1, keepdims=True)
    assert maps.shape == (2, 96, 50)
    for channel in range(0, 96, 5):
        index, kernel = divmod(channel, 16)
        expected = correlated(x[1, 0].numpy(), kernels[index, kernel], 2**index)
        np.testing.assert_allclose(maps[1, channel], expected, atol=1e-12)


def test_convolve_has_a_gradient_for_kernels():
    kernels = torch.randn((6, 8, 9), generator=seeded(), dtype=torch.float64, requires_grad=True)
    x = panel(2, 11)
    assert torch.autograd.gradcheck(lambda weight: convolve(x, weight), (kernels,), fast_mode=True)


def test_initial_kernels_are_orthonormal_groups_of_mean_zero():
    kernels = DilatedEncoder(generator=seeded()).front.bank.weight.detach()
    torch.testing.assert_close(kernels.sum(dim=-1), torch.zeros(6, 16), atol=1e-6, rtol=0)
    groups = kernels.reshape(12, 8, 9)
    products = groups @ groups.transpose(1, 2)
    torch.testing.assert_close(products, torch.eye(8).expand(12, 8, 8), atol=1e-5, rtol=0)


def test_weights_come_from_the_generator_alone():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = DilatedEncoder(generator=seeded()).state_dict()
    torch.testing.assert_close(torch.get_rng_state(), state)
    torch.manual_seed(1)
    second = DilatedEncoder(generator=seeded()).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@modes
@pytest.mark.parametrize("stride", [1, 2])
def test_unequal_series_are_as_alone(stride, training):
    lengths = [40, 2, 3, 4, 5, 23, 40]
    series = [panel(1, length, seed)[0] for seed, length in enumerate(lengths)]
    x = torch.full((len(lengths), 1, 40), 7.5, dtype=torch.float64)  # padding is ignored
    for row, values in zip(x, series, strict=True):
        row[:, : values.shape[1]] = values
    encoder = build(stride).train(training)
    with torch.no_grad():
        maps = encoder.stages(x, torch.tensor(lengths))
        encoder.eval()
        if training:
            return  # statistics of a batch: the loop above did not fail
        for row, values in enumerate(series):
            alone = encoder.stages(values[None])
            for (of_all, n_steps), (of_one, _) in zip(maps, alone, strict=True):
                n_of_row = int(n_steps[row])
                assert n_of_row == of_one.shape[2]
                torch.testing.assert_close(of_all[row, :, :n_of_row], of_one[0])
                assert not of_all[row, :, n_of_row:].any()


@modes
@pytest.mark.parametrize("n_timepoints", [8, 9, 31, 32])
def test_rows_padded_alike_are_as_without_padding(n_timepoints, training):
    x = panel(5, n_timepoints)
    padded = torch.nn.functional.pad(x, (0, 9))
    with torch.no_grad():
        expected = build().train(training)(x)
        encoder = build().train(training)
        actual, n_steps = encoder.stages(padded, torch.full((5,), n_timepoints))[-1]
    assert (n_steps == expected.shape[2]).all()
    torch.testing.assert_close(actual[:, :, : expected.shape[2]], expected)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("n_timepoints", [2, 4, 33, 128])
def test_steps_are_centred_where_a_change_moves_them(stride, n_timepoints):
    encoder = build(stride).eval()
    positions = encoder.step_positions(n_timepoints)
    with torch.no_grad():
        n_steps = encoder(panel(1, n_timepoints)).shape[2]
    period = 4 * stride**3
    assert len(positions) == n_steps == -(-n_timepoints // period)
    assert torch.equal(positions, period * torch.arange(n_steps).double() + 1.5)


def test_front_bank_is_the_bank_after_batch_norm_without_shifts():
    encoder = build().eval()
    bank = encoder.front_bank()
    assert bank.kernels.dtype == np.float32
    assert bank.dilations.tolist() == [1, 2, 4, 8, 16, 32]
    np.testing.assert_allclose(bank.kernels.mean(axis=-1), 0, atol=1e-7)
    x = panel(2, 40)
    norm = encoder.front.norm
    with torch.no_grad():
        expected = norm(encoder.front.bank(x)) - norm(torch.zeros(2, 96, 40).double())
        actual = convolve(x, torch.from_numpy(bank.kernels).double())
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


def test_folding_keeps_the_maps():
    encoder = build().eval()
    x = panel(3, 37)
    lengths = torch.tensor([37, 2, 18])
    folded = fold_batch_norm(encoder)
    with torch.no_grad():
        torch.testing.assert_close(folded(x, lengths), encoder(x, lengths))
        torch.testing.assert_close(folded(x), encoder(x))


def test_the_encoder_has_all_optional_methods():
    encoder = DilatedEncoder()
    assert has_front(encoder)
    assert has_blocks(encoder)
    assert has_stages(encoder)
    assert has_step_positions(encoder)


def test_several_channels_and_other_strides_are_refused():
    with pytest.raises(ValueError, match=r"one channel at a time.*independent"):
        DilatedEncoder(2)
    with pytest.raises(ValueError, match="stride must be 1 or 2"):
        DilatedEncoder(stride=3)


@pytest.mark.parametrize("lengths", [None, [64, 9, 2, 40]], ids=["equal", "unequal"])
def test_a_step_keeps_host_and_device_apart(lengths):
    encoder = DilatedEncoder()
    objective = FEIObjective(encoder, width=encoder.width, n_timepoints=64)
    if lengths is not None:
        lengths = torch.tensor(lengths, device=META)
    losses = meta_step(objective, options(device=META), torch.empty(4, 1, 64, device=META), lengths)
    assert losses.loss.device == META
