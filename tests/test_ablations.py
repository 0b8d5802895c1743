"""Each ablation lacks its own part, and nothing else."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.objectives import ABLATIONS, objective_class
from fei_sklearn.objectives.fei import FEIObjective

WIDTH, N_TIMEPOINTS = 16, 40
ablations = pytest.mark.parametrize("name", ABLATIONS)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(name: str, n_targets: int = 2) -> FEIObjective:
    generator = seeded(0)
    objective = objective_class(name)(
        FEIEncoder(1, WIDTH, generator=generator),
        width=WIDTH,
        n_timepoints=N_TIMEPOINTS,
        n_targets=n_targets,
        generator=generator,
    )
    return objective.double()


def batch() -> Tensor:
    return torch.randn((7, 1, N_TIMEPOINTS), generator=seeded(1), dtype=torch.float64)


def masks(fei: FEIObjective, seed: int = 2) -> Tensor:
    return fei.sample_masks(batch(), None, seeded(seed))


def trained(loss: Tensor, fei: nn.Module) -> set[str]:
    """Parts of an objective that a loss reaches with a gradient that is not zero."""
    names = [name for name, p in fei.named_parameters() if p.requires_grad]
    parameters = [fei.get_parameter(name) for name in names]
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
    pairs = zip(names, gradients, strict=True)
    return {name.partition(".")[0] for name, g in pairs if g is not None and g.any()}


EMBEDS = {"encoder", "projector", "embedding_predictor"}
INFERS_MASKS = {"mask_predictor", "prompts"}


@pytest.mark.parametrize(
    ("name", "by_embedding_loss", "by_mask_loss", "by_loss"),
    [
        ("fei", EMBEDS, INFERS_MASKS, EMBEDS | INFERS_MASKS),
        (
            "fei-no-embedding-inference",
            {"encoder", "projector"},
            {"encoder", "projector"} | INFERS_MASKS,
            {"encoder", "projector"} | INFERS_MASKS,
        ),
        ("fei-no-mask-prompt", EMBEDS, INFERS_MASKS, EMBEDS | INFERS_MASKS),
        ("fei-no-momentum", EMBEDS, INFERS_MASKS, EMBEDS | INFERS_MASKS),
        (
            "fei-no-subspace",
            EMBEDS - {"projector"},
            INFERS_MASKS,
            EMBEDS - {"projector"} | INFERS_MASKS,
        ),
        ("fei-no-mask-inference", EMBEDS, set(), EMBEDS),
        (
            "fei-no-detach",
            EMBEDS | {"prompts"},
            {"encoder", "projector"} | INFERS_MASKS,
            EMBEDS | INFERS_MASKS,
        ),
    ],
)
def test_what_each_loss_trains(
    name: str, by_embedding_loss: set[str], by_mask_loss: set[str], by_loss: set[str]
) -> None:
    fei = build(name)
    losses = fei(batch(), masks=masks(fei))
    assert trained(losses.embedding_loss, fei) == by_embedding_loss
    if name != "fei-no-mask-inference":
        assert trained(losses.mask_loss, fei) == by_mask_loss
    assert trained(losses.loss, fei) == by_loss


@ablations
def test_losses_are_those_of_fei_but_for_the_branch_that_is_left_out(name: str) -> None:
    fei, ablated = build("fei").eval(), build(name).eval()
    x, drawn = batch(), masks(fei)
    expected, actual = fei(x, masks=drawn), ablated(x, masks=drawn)
    weights = ablated.branch_weights
    total = weights[0] * actual.embedding_loss + weights[1] * actual.mask_loss
    torch.testing.assert_close(actual.loss, total)
    if name == "fei-no-subspace":
        return  # other heads
    torch.testing.assert_close(actual.mask_loss, expected.mask_loss)
    same = torch.isclose(actual.embedding_loss, expected.embedding_loss)
    assert bool(same) is (name != "fei-no-mask-prompt")


def test_unexplained_counts_the_branch_that_is_left() -> None:
    embedding, mask = (build(f"fei-no-{n}-inference").eval() for n in ("mask", "embedding"))
    drawn = masks(embedding)
    both = build("fei").eval()(batch(), masks=drawn).unexplained
    parts = [objective(batch(), masks=drawn).unexplained for objective in (embedding, mask)]
    torch.testing.assert_close(both, (parts[0] + parts[1]) / 2)
    assert not torch.isclose(parts[0], parts[1])


def test_without_prompt_the_inference_knows_nothing_of_the_mask() -> None:
    with_prompt, without = build("fei").eval(), build("fei-no-mask-prompt").eval()
    x = batch()
    for fei, tells in ((with_prompt, True), (without, False)):
        first, other = (fei.infer(x, masks(fei, seed)).inferred_target for seed in (2, 3))
        assert first.shape == (7, 2, WIDTH // 2)
        assert torch.equal(first, other) is not tells


def test_without_momentum_the_target_is_the_online_network() -> None:
    fei = build("fei-no-momentum")
    with torch.no_grad():
        for p in [*fei.encoder.parameters(), *fei.projector.parameters()]:
            p.add_(0.5)
    fei.update_target(0.995)
    state = fei.state_dict()
    for name, p in fei.named_parameters():
        if name.startswith("target_"):
            assert torch.equal(p, state[name.removeprefix("target_")])
            assert not p.requires_grad


def test_without_subspace_heads_are_as_wide_as_the_encoder() -> None:
    fei = build("fei-no-subspace")
    assert not list(fei.projector.parameters())
    assert fei.prompts.shape == (N_TIMEPOINTS // 2 + 1, WIDTH)
    inference = fei.infer(batch(), masks(fei))
    assert {value.shape for value in inference} == {(7, 2, WIDTH)}
    before = copy.deepcopy(fei.target_encoder.state_dict())
    with torch.no_grad():
        fei.encoder.stem.conv.weight.add_(1.0)
    fei.update_target(0.75)
    moved = fei.target_encoder.stem.conv.weight - before["stem.conv.weight"]
    torch.testing.assert_close(moved, torch.full_like(moved, 0.25))
