"""Seeded modules, mean embeddings, and passes through blocks."""

from __future__ import annotations

import torch
from tensors import noise, padded, seeded
from torch import nn

from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.objectives.networks import mean_embedding, pass_blocks, seeded_module


def build() -> FEIEncoder:
    return FEIEncoder(2, 16, 1, generator=seeded(0)).double().eval()


def test_seeded_modules_are_drawn_from_the_generator_alone() -> None:
    before = torch.get_rng_state()
    generator = seeded(0)
    first = seeded_module(generator, nn.Linear, 3, 4, bias=False)
    second = seeded_module(generator, nn.Linear, 3, 4, bias=False)
    again = seeded_module(seeded(0), nn.Linear, 3, 4, bias=False)
    assert torch.equal(before, torch.get_rng_state())
    assert first.bias is None
    assert first.weight.shape == (4, 3)
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.weight, second.weight)


def test_embeddings_are_means_over_the_steps_of_each_series() -> None:
    encoder = build()
    lengths = torch.tensor([40, 26, 33])
    x = padded(noise(3, 2, 40), lengths)
    together = mean_embedding(encoder, x, lengths)
    for row, series, length in zip(together, x, lengths.tolist(), strict=True):
        alone = encoder(series[None, :, :length])
        torch.testing.assert_close(row, alone.mean(dim=-1)[0])


def test_blocks_after_the_stem_are_the_encoder() -> None:
    encoder = build()
    x = noise(3, 2, 40)
    latent, _ = encoder.stem(x, None)
    actual = pass_blocks(encoder.blocks, latent)
    torch.testing.assert_close(actual, encoder(x), rtol=0, atol=0)
