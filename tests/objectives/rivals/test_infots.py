"""InfoTS's contrasts, and the learned mixture of augmentations."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from small_rivals import build_rival
from tensors import noise, seeded, units

from fei_sklearn.objectives.rivals import infots


def weights_of(objective: torch.nn.Module) -> dict[str, torch.Tensor]:
    return copy.deepcopy(objective.state_dict())


@pytest.mark.parametrize("value", [0.0, 7.0])
@pytest.mark.parametrize(
    ("k", "expected"),
    [
        (4, 0.6931471806),
        (8, 1.7917594692),
        (16, 2.639057),
    ],
)
def test_local_contrast_of_equal_segments(k: int, expected: float, value: float) -> None:
    similarity = torch.full((3, k, k), value, dtype=torch.float64)
    actual = infots.local_contrast(similarity)
    assert math.isclose(float(actual), expected, abs_tol=1e-6)


def test_local_contrast() -> None:
    segments = units(4)[[0, 0, 1, 1]]
    similarity = (segments @ segments.T).repeat(2, 1, 1)
    actual = infots.local_contrast(similarity)
    assert math.isclose(float(actual), 0.4082330608, abs_tol=1e-9)


def test_segments_are_adjacent_and_start_anywhere() -> None:
    z = torch.arange(43.0).repeat(2, 5, 1)
    starts = set()
    for seed in range(20):
        segments = infots.pooled_segments(z, seeded(seed))
        assert segments.shape == (2, 8, 5)
        assert (segments.diff(dim=1) == 5).all()
        first_maximum = float(segments[0, 0, 0])
        starts.add(first_maximum - 4)
    assert starts == {0, 1, 2, 3}


def test_short_maps_have_fewer_segments() -> None:
    z = torch.arange(6.0).repeat(2, 5, 1)
    assert infots.pooled_segments(z, None).shape == (2, 6, 5)
    with pytest.raises(ValueError, match="at least 4 steps, got 3"):
        infots.pooled_segments(z[..., :3], None)


def test_the_mixture_is_convex() -> None:
    x = noise(3, 2, 40)
    logits = infots.logistic_noise(x, seeded(0))
    assert logits.shape == (7,)
    equal_views = x.repeat(7, 1, 1, 1)
    torch.testing.assert_close(infots.mixture(equal_views, logits), x)
    only_fourth = torch.full((7,), -100.0)
    only_fourth[3] = 0
    views = noise(7, 3, 2, 40)
    torch.testing.assert_close(infots.mixture(views, only_fourth), views[3])


def test_a_fifth_of_the_training_batches_is_augmented() -> None:
    objective = build_rival("infots")
    x = noise(2, 2, 16)
    n_augmented = sum(objective._view(x, seeded(seed)) is not x for seed in range(200))
    assert 20 < n_augmented < 60
    objective.eval()
    for seed in range(20):
        assert objective._view(x, seeded(seed)) is not x


def test_fidelity_is_the_cross_entropy_of_both_embeddings() -> None:
    objective = build_rival("infots")
    x = noise(3, 2, 64)
    objective(x, generator=seeded(0))
    meta = objective.meta
    z_view = noise(3, 16)
    z_series = noise(3, 16, seed=1)
    expected = 0.0
    for z in (z_view, z_series):
        log_probability = (z @ meta.weight.T + meta.bias).log_softmax(dim=1)
        expected = expected - log_probability.diagonal().mean()
    torch.testing.assert_close(meta.loss(z_view, z_series), expected)


def test_a_due_step_trains_the_mixture_and_nothing_else() -> None:
    objective = build_rival("infots")
    x = noise(6, 2, 64)
    generator = seeded(0)
    initial = weights_of(objective)
    objective(x, generator=generator)
    assert any(not torch.equal(v, initial[name]) for name, v in objective.state_dict().items())
    objective.update_target(0.9)
    assert torch.equal(objective.logits, initial["logits"])  # every other step
    objective(x, generator=generator)
    before = weights_of(objective)
    objective.update_target(0.9)
    assert objective.training
    assert not objective.logits.requires_grad
    for name, value in objective.state_dict().items():
        assert torch.equal(value, before[name]) is (name != "logits"), name
    for parameter in objective.encoder.parameters():
        assert parameter.grad is None


def test_the_state_holds_no_series() -> None:
    objective = build_rival("infots")
    objective(noise(6, 2, 64), generator=seeded(0))
    names = [name for name in objective.state_dict() if not name.startswith("encoder.")]
    assert names == ["logits"]
    assert not objective.resumable


def test_a_copy_in_the_middle_of_a_run_goes_on_by_itself() -> None:
    """Snapshots for callbacks are deep copies."""
    objective = build_rival("infots")
    x = noise(6, 2, 64)
    generator = seeded(0)
    for _ in range(3):
        objective(x, generator=generator)
        objective.update_target(1.0)
    copied = copy.deepcopy(objective)
    copied(x, generator=generator)
    copied.update_target(1.0)
    assert not torch.equal(copied.logits, objective.logits)
    assert copied.meta.optimizer.param_groups[0]["params"][0] is copied.logits
