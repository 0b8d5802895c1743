"""TS2Vec's loss from crops and masked maps."""

from __future__ import annotations

import pytest
import torch
from small_rivals import build_rival
from tensors import noise, seeded

from fei_sklearn.objectives.rivals.crops import crop_twice
from fei_sklearn.objectives.rivals.hierarchy import hierarchical_contrast
from fei_sklearn.objectives.rivals.latent_mask import masked_map


@pytest.mark.parametrize("seed", range(5))
def test_loss_is_the_contrast_of_the_shared_steps(seed: int) -> None:
    objective = build_rival("ts2vec", similarity="cosine").eval()
    x = noise(4, 2, 64)
    generator = seeded(seed)
    first, second, n_shared = crop_twice(x, None, 2, generator)
    first_map = masked_map(objective.encoder, first, generator)
    second_map = masked_map(objective.encoder, second, generator)
    expected = hierarchical_contrast(
        first_map[..., -n_shared:].mT,
        second_map[..., :n_shared].mT,
        kind="cosine",
    )
    torch.testing.assert_close(objective(x, generator=seeded(seed)).loss, expected)


def test_gradients_are_clipped_for_raw_products_alone() -> None:
    assert build_rival("ts2vec").max_gradient_norm == 1.0
    assert build_rival("ts2vec", similarity="cosine").max_gradient_norm is None
