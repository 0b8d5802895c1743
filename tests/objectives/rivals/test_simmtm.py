"""SimMTM's contrast, learned weights, reconstruction and masks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from small_rivals import build_rival
from tensors import double, noise, seeded, units

from fei_sklearn.objectives.rivals import simmtm


def test_contrast_and_shares_of_two_series_and_their_copies() -> None:
    v = units(4)[:2].repeat(4, 1)
    similarity = simmtm.similarity_to_others(v)
    contrast = simmtm.copies_contrast(similarity, 2)
    expected = 3 * math.log(3 + 4 * math.exp(-5))
    assert math.isclose(float(contrast), expected, abs_tol=1e-9)
    assert math.isclose(expected, 3.3226683078, abs_tol=1e-9)
    shares = similarity.softmax(dim=1)
    torch.testing.assert_close(shares[0, 2], double(0.3303653543), atol=1e-9, rtol=0)
    torch.testing.assert_close(shares[0, 1], double(0.0022259842), atol=1e-9, rtol=0)
    assert (shares.diagonal() == 0).all()
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(8).double())


def test_contrast_and_mean_of_two_series_with_one_copy() -> None:
    v = units(4)[:2].repeat(2, 1)
    similarity = simmtm.similarity_to_others(v)
    contrast = simmtm.copies_contrast(similarity, 2)
    assert math.isclose(float(contrast), 0.0133859017, abs_tol=1e-9)
    mean = similarity.softmax(dim=1) @ double([1, 10, 3, 20])
    expected = [3.1595605, 19.7606592, 1.1861539, 9.8936263]
    np.testing.assert_allclose(mean.numpy(), expected, atol=1e-7)


def test_contrast_of_equal_rows_counts_candidates() -> None:
    similarity = simmtm.similarity_to_others(torch.ones(8, 3).double())
    contrast = simmtm.copies_contrast(similarity, 2)
    assert math.isclose(float(contrast), 3 * math.log(7), abs_tol=1e-9)


def test_learned_weights_of_both_losses() -> None:
    scales = torch.ones(2, dtype=torch.float64, requires_grad=True)
    loss = simmtm.weighted(double(1.0), double(2.0), scales)
    loss.backward()
    assert math.isclose(loss.item(), 2.8862943611, abs_tol=1e-5)
    np.testing.assert_allclose(scales.grad.numpy(), [0, -1], atol=1e-5)


def test_the_scales_are_not_decayed() -> None:
    objective = build_rival("simmtm")
    (undecayed,) = objective.undecayed()
    assert undecayed is objective.scales


@pytest.mark.parametrize("n_timepoints", [64, 40])
def test_the_originals_are_rebuilt(n_timepoints: int) -> None:
    objective = build_rival("simmtm", n_channels=2, n_timepoints=64)
    with torch.no_grad():
        objective.head.weight.zero_()
        objective.head.bias.copy_(torch.arange(128.0))
    series = torch.arange(128.0).double().reshape(1, 2, 64)
    x = series.repeat(3, 1, 1)[..., :n_timepoints]
    assert objective(x, generator=seeded(0)).reconstruction_loss.item() == 0


def test_longer_series_are_refused() -> None:
    objective = build_rival("simmtm", n_channels=2, n_timepoints=64)
    with pytest.raises(ValueError, match="rebuilds series of up to 64 time points, got 65"):
        objective(noise(3, 2, 65), generator=seeded(0))


@pytest.mark.parametrize(("share", "masked_run", "kept_run"), [(0.5, 3, 3), (0.25, 3, 9)])
def test_runs_of_masks_have_geometric_lengths(
    share: float,
    masked_run: int,
    kept_run: int,
) -> None:
    kept = simmtm.markov_mask(torch.zeros(4, 2, 100_000), share=share, generator=seeded(0))
    assert set(kept.unique().tolist()) == {0, 1}
    n_kept = kept.sum()
    n_masked = (1 - kept).sum()
    assert math.isclose(float(n_masked) / kept.numel(), share, abs_tol=0.01)
    changes = kept.diff(dim=-1)
    n_masked_runs = (changes == 1).sum()
    n_kept_runs = (changes == -1).sum()
    assert math.isclose(float(n_masked / n_masked_runs), masked_run, rel_tol=0.02)
    assert math.isclose(float(n_kept / n_kept_runs), kept_run, rel_tol=0.02)


@pytest.mark.parametrize(("share", "kept_run"), [(0.5, 3), (0.25, 9)])
def test_a_mask_goes_on_whatever_the_length_of_its_run(share: float, kept_run: int) -> None:
    kept = simmtm.markov_mask(torch.zeros(4, 2, 100_000), share=share, generator=seeded(0))
    kept_twice = (kept[..., :-2] == 1) & (kept[..., 1:-1] == 1)
    goes_on = kept[..., 2:][kept_twice].mean()
    assert math.isclose(float(goes_on), 1 - 1 / kept_run, abs_tol=0.01)
