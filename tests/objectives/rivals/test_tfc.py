"""TF-C's loss, views and encoders of both domains."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from small_rivals import build_rival
from tensors import noise, padded, seeded, units
from torch import Tensor

from fei_sklearn.objectives.rivals import tfc
from fei_sklearn.objectives.rivals.contrast import two_views

FIRST_TWO = units(4)[:2]
LAST_TWO = units(4)[2:]


@pytest.mark.parametrize(
    ("u", "v", "temperature", "nt_xent", "expected"),
    [
        (FIRST_TWO, FIRST_TWO, 0.2, 0.0133859017, 0.3555837077),
        (FIRST_TWO, LAST_TWO, 0.2, 1.0986122887, 1.8763900664),
        (FIRST_TWO, FIRST_TWO, 1.0, 0.5514447139, 1.1673667908),
    ],
)
def test_poly_nt_xent(
    u: Tensor,
    v: Tensor,
    temperature: float,
    nt_xent: float,
    expected: float,
) -> None:
    plain = two_views(u, v, kind="cosine", temperature=temperature).mean()
    actual = tfc.poly_nt_xent(u, v, temperature)
    assert math.isclose(float(plain), nt_xent, abs_tol=1e-9)
    assert math.isclose(float(actual), expected, abs_tol=1e-9)
    torch.testing.assert_close(tfc.poly_nt_xent(5 * u, v), tfc.poly_nt_xent(u, v))


def test_the_polynomial_term_is_a_mean_over_anchors() -> None:
    u = noise(3, 4)
    v = noise(3, 4, seed=1)
    rows = two_views(u, v, kind="cosine", temperature=0.5).numpy()
    expected = rows.mean() + 1 - 3 / 5 * np.exp(-rows).mean()
    actual = tfc.poly_nt_xent(u, v, 0.5)
    assert math.isclose(float(actual), expected, rel_tol=1e-12)


def test_amplitudes_are_those_of_all_frequencies() -> None:
    x = noise(200, 2, 50)
    expected = np.abs(np.fft.fft(x.numpy()))
    np.testing.assert_allclose(tfc.amplitudes(x).numpy(), expected, atol=1e-9)


def test_amplitudes_are_over_the_time_points_of_each_series() -> None:
    lengths = torch.tensor([50, 20, 50])
    x = padded(noise(3, 2, 50), lengths, 1e3)
    spectrum = tfc.amplitudes(x, lengths)
    for row, series, length in zip(spectrum, x, lengths.tolist(), strict=True):
        expected = np.abs(np.fft.fft(series[:, :length].numpy()))
        np.testing.assert_allclose(row[:, :length].numpy(), expected, atol=1e-9)
        assert (row[:, length:] == 0).all()


def test_jitter_is_relative_to_the_standard_deviation() -> None:
    x = 3 * noise(200, 2, 50) + 1
    assert torch.equal(tfc.jitter(x, sigma=0.0), x)
    added = tfc.jitter(x, generator=seeded(0)) - x
    assert math.isclose(float(added.std()), 0.8 * 3, rel_tol=0.05)


def test_a_tenth_of_the_amplitudes_is_raised_and_a_tenth_lost() -> None:
    spectrum = tfc.amplitudes(3 * noise(200, 2, 50) + 1)
    unperturbed = tfc.perturb_amplitudes(spectrum, removed=0.0, raised=0.0)
    assert torch.equal(unperturbed, spectrum)
    perturbed = tfc.perturb_amplitudes(spectrum, generator=seeded(0))
    gain = (perturbed - spectrum)[perturbed > spectrum]
    assert gain.max() <= 0.1 * spectrum.max()
    raised_share = len(gain) / spectrum.numel()
    lost_share = (perturbed == 0).double().mean()
    # a tenth each, of which a tenth is both
    assert math.isclose(raised_share, 0.09, abs_tol=0.005)
    assert math.isclose(float(lost_share), 0.09, abs_tol=0.005)


def test_both_encoders_read_series_of_their_own_length() -> None:
    encoder = build_rival("tfc").encoder.eval()
    lengths = torch.tensor([64, 40, 40])
    x = padded(noise(3, 2, 64), lengths)
    together, n_steps = encoder.stages(x, lengths)[-1]
    alone = encoder(x[1:2, :, :40])
    assert alone.shape[1] == 32
    torch.testing.assert_close(together[1:2, :, : n_steps[1]], alone)


def test_the_second_encoder_reads_amplitudes_alone() -> None:
    encoder = build_rival("tfc").encoder.eval()
    x = noise(1, 2, 40)
    features = encoder(x)
    of_reversed = encoder(x.flip(-1))  # the same amplitudes
    torch.testing.assert_close(of_reversed[:, 16:], features[:, 16:])
    assert not torch.allclose(of_reversed[:, :16], features[:, :16])
