"""Maps of an encoder whose stem's output is masked."""

from __future__ import annotations

import torch
from tensors import noise, seeded

from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.objectives.rivals.latent_mask import masked_map


def build() -> FEIEncoder:
    return FEIEncoder(2, 16, 1, generator=seeded(0)).double().eval()


def test_no_mask_is_the_encoder_itself() -> None:
    encoder = build()
    x = noise(3, 2, 40)
    actual = masked_map(encoder, x, seeded(0), rate=0.0)
    torch.testing.assert_close(actual, encoder(x), rtol=0, atol=0)


def test_masked_steps_hide_the_series() -> None:
    encoder = build()
    everything_masked = masked_map(encoder, noise(1, 2, 40), seeded(0), rate=1.0)
    other_series = masked_map(encoder, noise(1, 2, 40, seed=1), seeded(0), rate=1.0)
    assert torch.equal(everything_masked, other_series)


def test_half_of_the_steps_are_zero_after_the_stem() -> None:
    encoder = build()
    x = noise(20, 2, 400)
    seen = []
    encoder.blocks[0][0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    masked_map(encoder, x, seeded(0))
    zero = seen[0] == 0
    assert torch.equal(zero.all(dim=1), zero.any(dim=1))  # all features of a step
    share = zero.double().mean()
    assert abs(float(share) - 0.5) < 0.02
    assert len({tuple(row) for row in zero[:, 0].tolist()}) == 20  # a mask per series
