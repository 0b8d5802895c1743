"""Each ablation lacks its own component, and no other."""

from __future__ import annotations

import copy

import pytest
import torch
from tensors import noise, seeded
from torch import Tensor, nn

from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.objectives import ABLATIONS, objective_class
from fei_sklearn.objectives.fei import FEIObjective

WIDTH = 16
N_TIMEPOINTS = 40
X = noise(7, 1, N_TIMEPOINTS, seed=1)
ablations = pytest.mark.parametrize("name", ABLATIONS)


def build(name: str) -> FEIObjective:
    generator = seeded(0)
    objective = objective_class(name)(
        FEIEncoder(1, WIDTH, generator=generator),
        width=WIDTH,
        n_timepoints=N_TIMEPOINTS,
        n_targets=2,
        generator=generator,
    )
    return objective.double()


def masks(seed: int = 2) -> Tensor:
    return build("fei").sample_masks(X, None, seeded(seed))


def trained_modules(loss: Tensor, fei: nn.Module) -> set[str]:
    """Return the submodules that a loss reaches with a gradient that is not zero."""
    parameters = {name: p for name, p in fei.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad(
        loss,
        list(parameters.values()),
        allow_unused=True,
        retain_graph=True,
    )
    modules = set()
    for name, gradient in zip(parameters, gradients, strict=True):
        if gradient is not None and gradient.any():
            modules.add(name.partition(".")[0])
    return modules


EMBEDS = {"encoder", "projector", "embedding_predictor"}
INFERS_MASKS = {"mask_predictor", "prompts"}
ONLINE = {"encoder", "projector"}
WITHOUT_PROJECTOR = EMBEDS - {"projector"}


@pytest.mark.parametrize(
    ("name", "by_embedding_loss", "by_mask_loss", "by_loss"),
    [
        ("fei", EMBEDS, INFERS_MASKS, EMBEDS | INFERS_MASKS),
        ("fei-no-embedding-inference", ONLINE, ONLINE | INFERS_MASKS, ONLINE | INFERS_MASKS),
        ("fei-no-mask-prompt", EMBEDS, INFERS_MASKS, EMBEDS | INFERS_MASKS),
        ("fei-no-momentum", EMBEDS, INFERS_MASKS, EMBEDS | INFERS_MASKS),
        ("fei-no-subspace", WITHOUT_PROJECTOR, INFERS_MASKS, WITHOUT_PROJECTOR | INFERS_MASKS),
        ("fei-no-mask-inference", EMBEDS, None, EMBEDS),
        ("fei-no-detach", EMBEDS | {"prompts"}, ONLINE | INFERS_MASKS, EMBEDS | INFERS_MASKS),
    ],
)
def test_modules_that_each_loss_trains(
    name: str,
    by_embedding_loss: set[str],
    by_mask_loss: set[str] | None,
    by_loss: set[str],
) -> None:
    fei = build(name)
    losses = fei(X, masks=masks())
    assert trained_modules(losses.embedding_loss, fei) == by_embedding_loss
    assert trained_modules(losses.loss, fei) == by_loss
    if by_mask_loss is None:
        assert not losses.mask_loss.requires_grad
    else:
        assert trained_modules(losses.mask_loss, fei) == by_mask_loss


@ablations
def test_the_loss_is_the_sum_over_the_branches_that_are_left(name: str) -> None:
    fei = build(name).eval()
    losses = fei(X, masks=masks())
    embedding_weight, mask_weight = fei.branch_weights
    total = embedding_weight * losses.embedding_loss + mask_weight * losses.mask_loss
    torch.testing.assert_close(losses.loss, total)


@pytest.mark.parametrize("name", [name for name in ABLATIONS if name != "fei-no-subspace"])
def test_both_losses_are_those_of_fei(name: str) -> None:
    drawn = masks()
    expected = build("fei").eval()(X, masks=drawn)
    actual = build(name).eval()(X, masks=drawn)
    torch.testing.assert_close(actual.mask_loss, expected.mask_loss)
    same = torch.isclose(actual.embedding_loss, expected.embedding_loss)
    assert bool(same) is (name != "fei-no-mask-prompt")


def test_unexplained_is_the_share_of_the_branch_that_is_left() -> None:
    drawn = masks()
    both = build("fei").eval()(X, masks=drawn).unexplained
    of_embedding = build("fei-no-mask-inference").eval()(X, masks=drawn).unexplained
    of_mask = build("fei-no-embedding-inference").eval()(X, masks=drawn).unexplained
    torch.testing.assert_close(both, (of_embedding + of_mask) / 2)
    assert not torch.isclose(of_embedding, of_mask)


@pytest.mark.parametrize(("name", "depends"), [("fei", True), ("fei-no-mask-prompt", False)])
def test_the_prompt_alone_carries_the_mask_to_embedding_inference(
    name: str,
    depends: bool,
) -> None:
    fei = build(name).eval()
    first = fei.infer(X, masks(2)).inferred_target
    other = fei.infer(X, masks(3)).inferred_target
    assert first.shape == (7, 2, WIDTH // 2)
    assert torch.equal(first, other) is not depends


def test_without_momentum_the_target_is_the_online_network() -> None:
    fei = build("fei-no-momentum")
    with torch.no_grad():
        for parameter in (*fei.encoder.parameters(), *fei.projector.parameters()):
            parameter.add_(0.5)
    fei.update_target(0.995)
    state = fei.state_dict()
    for name, parameter in fei.named_parameters():
        if name.startswith("target_"):
            online = state[name.removeprefix("target_")]
            assert torch.equal(parameter, online)
            assert not parameter.requires_grad


def test_without_subspace_heads_are_as_wide_as_the_encoder() -> None:
    fei = build("fei-no-subspace")
    assert not list(fei.projector.parameters())
    assert fei.prompts.shape == (N_TIMEPOINTS // 2 + 1, WIDTH)
    for value in fei.infer(X, masks()):
        assert value.shape == (7, 2, WIDTH)


def test_without_subspace_the_copy_of_the_encoder_moves() -> None:
    fei = build("fei-no-subspace")
    before = copy.deepcopy(fei.target_encoder.stem.conv.weight)
    with torch.no_grad():
        fei.encoder.stem.conv.weight.add_(1.0)
    fei.update_target(0.75)
    moved = fei.target_encoder.stem.conv.weight - before
    torch.testing.assert_close(moved, torch.full_like(moved, 0.25))
