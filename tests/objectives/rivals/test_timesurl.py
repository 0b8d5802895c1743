"""TimesURL's views, negatives and reconstruction."""

from __future__ import annotations

import math

import pytest
import torch
from small_rivals import build_rival
from tensors import double, noise, seeded

from fei_sklearn.objectives.rivals import timesurl


def test_negatives_are_mixed_with_another_row() -> None:
    z = noise(2, 5, 3)
    for seed in range(10):
        mixed = timesurl.mixed_negatives(z, seeded(seed))
        other = (mixed - 0.2 * z) / 0.8
        distance = (other[:, :, None] - z[:, None]).abs().amax(dim=-1)
        same = distance < 1e-9
        assert (same.sum(dim=-1) == 1).all()
        assert not same.diagonal(dim1=-2, dim2=-1).any()


def test_error_is_on_the_masked_points_alone() -> None:
    truth = noise(1, 1, 8)
    kept = torch.ones(1, 1, 8)
    all_kept = kept.clone()
    kept[..., 2:5] = 0
    rebuilt = truth + torch.where(kept == 0, 2.0, 7.0)
    assert math.isclose(float(timesurl.masked_error(truth, rebuilt, kept)), 2.0)
    assert float(timesurl.masked_error(truth, rebuilt, all_kept)) == 0


@pytest.mark.parametrize("n_timepoints", [16, 17])
def test_spectra_are_mixed_at_the_given_rate(n_timepoints: int) -> None:
    x = noise(2, 3, n_timepoints)
    unmixed = timesurl.mix_spectra(x, rate=0.0, generator=seeded(0))
    torch.testing.assert_close(unmixed, x)
    exchanged = timesurl.mix_spectra(x, rate=1.0, n_protected=0, generator=seeded(0))
    torch.testing.assert_close(exchanged, x.flip(0))


@pytest.mark.parametrize("n_timepoints", [16, 17])
def test_the_strongest_bins_are_protected(n_timepoints: int) -> None:
    x = noise(2, 3, n_timepoints)
    spectrum = torch.fft.rfft(x)
    mixed = torch.fft.rfft(timesurl.mix_spectra(x, rate=1.0))
    strongest = spectrum.abs().topk(3).indices
    torch.testing.assert_close(mixed.gather(-1, strongest), spectrum.gather(-1, strongest))
    n_kept = torch.isclose(mixed, spectrum).sum(dim=-1)
    assert (n_kept == 3).all()


def test_segments_are_three_and_disjoint() -> None:
    kept = timesurl.segment_mask(noise(50, 2, 200), seeded(0))
    n_masked = (1 - kept).sum(dim=-1)
    assert (n_masked == 30).all()
    masked_share = 1 - kept.mean(dim=(0, 1))
    assert masked_share[20:-20].min() > 0.03  # they lie anywhere


def test_a_series_of_four_time_points_keeps_one() -> None:
    kept = timesurl.segment_mask(noise(2, 2, 4), seeded(0))
    assert (kept.sum(dim=-1) == 1).all()


def test_the_head_rebuilds_each_step_in_its_place() -> None:
    objective = build_rival("timesurl", n_timepoints=40)
    objective.encoder = torch.nn.AvgPool1d(2)  # two time points per step
    objective.head = torch.nn.Linear(2, 4).double()
    with torch.no_grad():  # all channels of the first time point, then of the second
        objective.head.weight.zero_()
        objective.head.bias.copy_(double([1, 2, 3, 4]))
    x = double([[1, 3], [2, 4]]).repeat(1, 20)[None]
    assert objective.reconstruction(x, seeded(0)).item() == 0
    assert objective.reconstruction(x.flip(1), seeded(0)).item() > 0
