"""TimeDRL's tokens, passes and losses."""

from __future__ import annotations

import pytest
import torch
from small_rivals import build_rival
from tensors import double, noise, seeded
from torch import Tensor

from fei_sklearn.objectives.rivals import timedrl

ZERO = double(0.0)
ONE = double(1.0)
#: A class token, a projection along it, and one across it.
INSTANCE = double([[1, 0]])
ALONG = double([[3, 0]])
ACROSS = double([[0, 1]])


@pytest.mark.parametrize(
    ("errors", "projected", "prediction", "contrast", "loss"),
    [
        ([ZERO, ZERO], [ALONG, ALONG], 0, -1, -0.1),
        ([ONE, ONE], [ACROSS, ACROSS], 1, 0, 1),
        ([ONE, ZERO], [ALONG, ACROSS], 0.5, -0.5, 0.45),
    ],
)
def test_losses(
    errors: list[Tensor],
    projected: list[Tensor],
    prediction: float,
    contrast: float,
    loss: float,
) -> None:
    actual = timedrl.losses(errors, [INSTANCE, INSTANCE], projected)
    assert float(actual.prediction_loss) == prediction
    assert float(actual.contrast_loss) == contrast
    assert float(actual.loss) == pytest.approx(loss)


def test_no_gradient_flows_into_the_class_tokens() -> None:
    instances = [noise(3, 4, seed=seed).requires_grad_() for seed in (1, 2)]
    projected = [noise(3, 4, seed=seed).requires_grad_() for seed in (3, 4)]
    timedrl.losses([ZERO, ZERO], instances, projected).loss.backward()
    for instance in instances:
        assert instance.grad is None
    for row in projected:
        assert row.grad.abs().sum() > 0


def test_passes_differ_by_dropout_alone() -> None:
    x = noise(4, 2, 64)
    assert build_rival("timedrl")(x, generator=seeded(0)).loss.isfinite()
    without = build_rival("timedrl", dropout=0.0).eval()
    tokens = without.encoder.tokens(without.encoder.patches(x))
    assert torch.equal(timedrl.dropped(tokens, 0.0, seeded(0)), tokens)
    assert without(x, generator=seeded(1)) == without(x, generator=seeded(2))


def test_dropout_keeps_the_mean() -> None:
    kept = timedrl.dropped(torch.ones(1000, 100), 0.1, seeded(0))
    assert kept.unique().tolist() == pytest.approx([0, 1 / 0.9])
    assert abs(float(kept.mean()) - 1) < 0.01


def test_tokens_are_overlapping_patches_and_a_class_token() -> None:
    encoder = build_rival("timedrl", n_channels=1, n_timepoints=178).encoder
    x = noise(2, 1, 178)
    patches = encoder.patches(x)
    assert patches.shape == (2, 21, 16)
    assert torch.equal(patches[1, 3], x[1, 0, 24:40])
    assert encoder.tokens(patches).shape == (2, 16, 22)
    assert encoder(x).shape == (2, 16, 1)


def test_a_patch_holds_all_channels() -> None:
    x = noise(2, 2, 64)
    patches = build_rival("timedrl").encoder.patches(x)
    assert torch.equal(patches[0, 1], x[0, :, 8:24].flatten())


def test_a_short_series_is_one_patch() -> None:
    encoder = build_rival("timedrl", n_timepoints=10).encoder
    assert encoder(noise(2, 2, 10)).shape == (2, 16, 1)


@pytest.mark.parametrize("n_timepoints", [15, 179])
def test_series_without_positions_are_refused(n_timepoints: int) -> None:
    encoder = build_rival("timedrl", n_channels=1, n_timepoints=178).encoder
    message = f"accepts series of 16 to 178 time points, got {n_timepoints}"
    with pytest.raises(ValueError, match=message):
        encoder(noise(2, 1, n_timepoints))


def test_positions_and_class_patch_are_not_decayed() -> None:
    objective = build_rival("timedrl")
    undecayed = {id(parameter) for parameter in objective.undecayed()}
    names = {name for name, p in objective.named_parameters() if id(p) in undecayed}
    assert names == {"encoder.class_patch", "encoder.positions"}
