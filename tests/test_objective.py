"""The objective against NumPy, its stop-gradients, and its momentum copies."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import reference
import torch
from scipy import stats
from torch import Tensor, nn

from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.masking import apply_mask, n_positions, sample_mask
from fei_sklearn.objectives.fei import FEIObjective
from fei_sklearn.training.schedules import momentum_at

WIDTH, N_TIMEPOINTS, N_CHANNELS = 16, 37, 3
kinds = pytest.mark.parametrize("kind", ["discrete", "continuous", "temporal"])
n_targets_cases = pytest.mark.parametrize("n_targets", [1, 3])
modes = pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(kind: str = "discrete", n_targets: int = 1, stride: int = 2) -> FEIObjective:
    """Float64; weights, statistics and the momentum copies all differ from initialisation."""
    fei = FEIObjective(
        FEIEncoder(N_CHANNELS, WIDTH, stride),
        width=WIDTH,
        n_timepoints=N_TIMEPOINTS,
        mask_kind=kind,
        n_targets=n_targets,
    ).double()
    with torch.no_grad():
        for name, value in fei.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                rule = reference.weights_by_rule(name, tuple(value.shape))
                value.copy_(torch.from_numpy(rule))
    return fei.train()


def panel(n: int, n_timepoints: int = N_TIMEPOINTS, seed: int = 0) -> Tensor:
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.normal(size=(n, N_CHANNELS, n_timepoints)))


def draw(kind: str = "discrete", n_targets: int = 1, n: int = 5) -> Tensor:
    size = n_positions(N_TIMEPOINTS, kind)
    return sample_mask(n, size, (0.0, 0.7), kind, n_targets=n_targets, generator=seeded(1))


def as_lists(x: Tensor, masks: Tensor) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return list(x.numpy()), list(masks.numpy().astype(np.float64))


def trained_parameters(fei: nn.Module, *prefixes: str) -> dict[str, nn.Parameter]:
    """Trained parameters, or those of them whose names begin with one of the prefixes."""
    every = {n: p for n, p in fei.named_parameters() if p.requires_grad}
    return {n: p for n, p in every.items() if n.startswith(prefixes)} if prefixes else every


# Losses


@kinds
@n_targets_cases
@modes
def test_losses_are_the_references(kind: str, n_targets: int, training: bool) -> None:
    fei, x, masks = build(kind, n_targets).train(training), panel(5), draw(kind, n_targets)
    params = reference.arrays_of(fei.state_dict())
    expected = reference.objective(*as_lists(x, masks), params, kind=kind, training=training)
    actual = fei(x, masks=masks)
    for name in ("loss", "embedding_loss", "mask_loss"):
        value = getattr(actual, name)
        assert value.ndim == 0
        np.testing.assert_allclose(value.item(), getattr(expected, name), rtol=1e-10)


@kinds
@n_targets_cases
def test_inferences_are_the_references(kind: str, n_targets: int) -> None:
    fei, x, masks = build(kind, n_targets, stride=1), panel(5), draw(kind, n_targets)
    params = reference.arrays_of(fei.state_dict())
    expected = reference.objective(*as_lists(x, masks), params, kind=kind, stride=1)
    for name, value in fei.infer(x, masks)._asdict().items():
        assert value.shape == (5, n_targets, WIDTH // 2)
        truth = getattr(expected, name)
        np.testing.assert_allclose(value.detach().numpy(), truth, rtol=1e-9, atol=1e-12)


@kinds
def test_lengths_that_are_all_alike_change_nothing(kind: str) -> None:
    x, masks = panel(5), draw(kind, 2)
    plain = build(kind, 2)(x, masks=masks)
    ragged = build(kind, 2)(x, torch.full((5,), N_TIMEPOINTS), masks=masks)
    for actual, expected in zip(ragged, plain, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=0)


@kinds
@n_targets_cases
def test_losses_of_series_of_unequal_length(kind: str, n_targets: int) -> None:
    lengths = torch.tensor([37, 12, 29, 2, 50])
    x = panel(5, 50) * (torch.arange(50) < lengths[:, None, None])
    sizes = n_positions(lengths, kind)
    masks = sample_mask(5, sizes, (0.1, 0.7), kind, n_targets=n_targets, generator=seeded(2))
    fei = build(kind, n_targets)
    params = reference.arrays_of(fei.state_dict())
    series = [row[:, :length].numpy() for row, length in zip(x, lengths, strict=True)]
    own_masks = [m[:, :size].double().numpy() for m, size in zip(masks, sizes, strict=True)]
    prompts = [
        reference.prompts_at(params["prompts"], length, N_TIMEPOINTS, kind)
        for length in lengths.tolist()
    ]
    expected = reference.objective(series, own_masks, params, kind=kind, prompts=prompts)
    actual = fei(x, lengths, masks=masks)
    np.testing.assert_allclose(actual.embedding_loss.item(), expected.embedding_loss, rtol=1e-9)
    np.testing.assert_allclose(actual.mask_loss.item(), expected.mask_loss, rtol=1e-9)


def test_masks_come_from_the_generator_alone() -> None:
    fei, x = build(n_targets=2).eval(), panel(5)
    before = torch.get_rng_state()
    first, again, other = (fei(x, generator=seeded(s)).loss.item() for s in (3, 3, 4))
    assert first == again != other
    assert torch.equal(before, torch.get_rng_state())


@kinds
def test_masks_that_are_drawn_have_the_objectives_ratio_and_kind(kind: str) -> None:
    fei = build(kind, n_targets=2).eval()
    fei.mask_ratio = (0.4, 0.4)
    size = n_positions(N_TIMEPOINTS, kind)
    masks = sample_mask(5, size, (0.4, 0.4), kind, n_targets=2, generator=seeded(5))
    assert ((1 - masks).sum(dim=-1) == round(0.4 * size)).all()
    drawn, given = fei(panel(5), generator=seeded(5)), fei(panel(5), masks=masks)
    torch.testing.assert_close(drawn.loss, given.loss)


# Prompts


@kinds
def test_mask_prompt(kind: str) -> None:
    fei, masks = build(kind), draw(kind, 3)
    prompts = fei.prompts.detach().numpy()
    actual = fei.mask_prompt(masks)
    assert actual.shape == (5, 3, WIDTH // 2)
    expected = reference.mask_prompt(masks.double().numpy(), prompts)
    np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=1e-10, atol=1e-13)


def test_a_mask_that_removes_nothing_has_a_zero_prompt_and_finite_gradients() -> None:
    fei, masks = build(), torch.ones(5, 1, 19)
    assert not fei.mask_prompt(masks).detach().any()
    fei(panel(5), masks=masks).loss.backward()
    for parameter in trained_parameters(fei).values():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


@pytest.mark.parametrize("n_positions_removed", [1, 4, 9, 19])
def test_size_of_a_prompt_is_stable(n_positions_removed: int) -> None:
    """Equal prompts add up to root n times one of them: sum over root of the number."""
    fei, masks = build(), torch.ones(1, 1, 19)
    masks[:, :, :n_positions_removed] = 0
    with torch.no_grad():
        fei.prompts.copy_(torch.ones_like(fei.prompts))
    expected = np.sqrt(n_positions_removed)
    np.testing.assert_allclose(fei.mask_prompt(masks).detach().numpy(), expected, rtol=1e-5)


@kinds
@pytest.mark.parametrize("n_timepoints", [2, 3, 20, 36, 37, 38, 74, 111])
def test_prompts_of_another_length_are_interpolated(kind: str, n_timepoints: int) -> None:
    fei, size = build(kind), n_positions(n_timepoints, kind)
    one_removed = 1 - torch.eye(size)[:, None]  # one position a mask
    actual = fei.mask_prompt(one_removed, n_timepoints)[:, 0].detach().numpy()
    prompts = fei.prompts.detach().numpy()
    expected = reference.prompts_at(prompts, n_timepoints, N_TIMEPOINTS, kind)
    np.testing.assert_allclose(actual, expected / (1 + 1e-6), rtol=1e-9, atol=1e-12)


@kinds
def test_prompts_of_unequal_lengths_are_those_of_each_row(kind: str) -> None:
    fei, lengths = build(kind), torch.tensor([37, 20, 50])
    masks = sample_mask(3, n_positions(lengths, kind), 0.7, kind, n_targets=2, generator=seeded(6))
    together = fei.mask_prompt(masks, lengths)
    for i, length in enumerate(lengths.tolist()):
        own = masks[i : i + 1, :, : n_positions(length, kind)]
        torch.testing.assert_close(together[i : i + 1], fei.mask_prompt(own, length))


# Gradients


def assert_no_gradient(loss: Tensor, parameters: dict[str, nn.Parameter]) -> None:
    assert parameters
    gradients = torch.autograd.grad(
        loss, list(parameters.values()), retain_graph=True, allow_unused=True
    )
    for name, gradient in zip(parameters, gradients, strict=True):
        assert gradient is None or not gradient.any(), name


def assert_gradient(loss: Tensor, parameters: dict[str, nn.Parameter]) -> None:
    gradients = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True)
    for name, gradient in zip(parameters, gradients, strict=True):
        assert gradient.abs().max() > 1e-6, name


@kinds
def test_each_loss_reaches_its_own_parameters_alone(kind: str) -> None:
    fei = build(kind, 2)
    losses = fei(panel(5), masks=draw(kind, 2))
    embeds = trained_parameters(fei, "encoder.", "projector.", "embedding_predictor.")
    infers_masks = trained_parameters(fei, "prompts", "mask_predictor.")
    assert embeds.keys() | infers_masks.keys() == trained_parameters(fei).keys()
    assert_gradient(losses.embedding_loss, embeds)
    assert_no_gradient(losses.embedding_loss, infers_masks)
    assert_gradient(losses.mask_loss, infers_masks)
    assert_no_gradient(losses.mask_loss, embeds)


def test_momentum_copies_take_no_part_in_training() -> None:
    fei = build()
    fei(panel(5), masks=draw()).loss.backward()
    for name, parameter in fei.named_parameters():
        is_copy = name.startswith(("target_encoder.", "target_projector."))
        assert parameter.requires_grad is not is_copy, name
        assert (parameter.grad is None) is is_copy, name


def test_targets_are_cut_off_even_if_the_copies_asked_for_gradients() -> None:
    fei = build(n_targets=2)
    fei.target_encoder.requires_grad_(True)
    fei.target_projector.requires_grad_(True)
    losses = fei(panel(5), masks=draw(n_targets=2))
    copies = trained_parameters(fei, "target_encoder.", "target_projector.")
    assert_no_gradient(losses.loss, copies)


@pytest.mark.parametrize(
    ("prefix", "which"),
    [
        ("encoder.", "embedding_loss"),
        ("projector.", "embedding_loss"),
        ("embedding_predictor.", "embedding_loss"),
        ("mask_predictor.", "mask_loss"),
        ("prompts", "mask_loss"),
    ],
)
def test_gradients_are_the_slopes_of_the_reference(prefix: str, which: str) -> None:
    """Along a random direction. Parameters of one loss alone need no stop-gradient in NumPy."""
    fei, x, masks = build(n_targets=2), panel(5), draw(n_targets=2)
    params = reference.arrays_of(fei.state_dict())
    parameters = trained_parameters(fei, prefix)
    rows = {n: reference.weights_by_rule(f"direction {n}", p.shape) for n, p in parameters.items()}

    def value(step: float) -> float:
        moved = params | {name: params[name] + step * row for name, row in rows.items()}
        return getattr(reference.objective(*as_lists(x, masks), moved), which)

    h = 1e-5  # central differences of fourth order
    slope = (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h)
    fei(x, masks=masks).loss.backward()
    actual = sum(float((p.grad * torch.from_numpy(rows[n])).sum()) for n, p in parameters.items())
    np.testing.assert_allclose(actual, slope, rtol=1e-6)


# Momentum copies and batch-norm statistics


def test_momentum_grows_linearly_to_one() -> None:
    for start in (0.9, 0.995):
        ramp = [momentum_at(step, 8, start) for step in range(9)]
        expected = [reference.momentum_at(step, 8, start) for step in range(9)]
        np.testing.assert_allclose(ramp, expected, rtol=1e-14)
        assert (ramp[0], ramp[-1]) == (start, 1.0)
    assert momentum_at(0, 10) == 0.995


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.995, 1.0])
def test_update_of_the_copies(momentum: float) -> None:
    fei = build()
    before = reference.arrays_of(fei.state_dict())
    fei.update_target(momentum)
    after = reference.arrays_of(fei.state_dict())
    moved = {n for n, _ in fei.named_parameters() if n.startswith("target_")}
    assert len(moved) == 65
    for name, value in after.items():
        expected = before[name]
        if name in moved:
            online = before[name.removeprefix("target_")]
            expected = reference.moved_target(expected, online, momentum)
        np.testing.assert_allclose(value, expected, rtol=1e-13, atol=1e-15, err_msg=name)
        if name not in moved:  # the online side, and everybody's batch-norm statistics
            np.testing.assert_array_equal(value, before[name], err_msg=name)


@kinds
@n_targets_cases
def test_statistics_come_from_what_each_encoder_sees(kind: str, n_targets: int) -> None:
    fei, x, masks = build(kind, n_targets), panel(5), draw(kind, n_targets)
    online, target = copy.deepcopy(fei.encoder), copy.deepcopy(fei.target_encoder)
    fei(x, masks=masks)
    with torch.no_grad():
        online(x)
        for series in apply_mask(x, masks, kind).unbind(dim=1):
            target(series)
    for actual, expected in ((fei.encoder, online), (fei.target_encoder, target)):
        for name, buffer in actual.named_buffers():
            torch.testing.assert_close(buffer, expected.get_buffer(name), rtol=1e-9, atol=1e-12)
    assert fei.encoder.stem.norm.num_batches_tracked == 1
    assert fei.target_encoder.stem.norm.num_batches_tracked == n_targets


@kinds
def test_statistics_are_the_references(kind: str) -> None:
    fei, x, masks = build(kind, 2), panel(5), draw(kind, 2)
    params = reference.arrays_of(fei.state_dict())
    fei(x, masks=masks)
    reference.objective(*as_lists(x, masks), params, kind=kind)  # moves those of `params`
    for name, value in reference.arrays_of(fei.state_dict()).items():
        if "running" in name:
            np.testing.assert_allclose(value, params[name], rtol=1e-9, err_msg=name)


def test_evaluation_moves_nothing() -> None:
    fei = build(n_targets=2).eval()
    before = copy.deepcopy(fei.state_dict())
    fei(panel(5), masks=draw(n_targets=2))
    for name, value in fei.state_dict().items():
        assert torch.equal(value, before[name]), name


# Initial weights


def fresh(seed: int) -> FEIObjective:
    generator = seeded(seed)
    encoder = FEIEncoder(1, 64, generator=generator)
    return FEIObjective(encoder, width=64, n_timepoints=178, generator=generator)


def test_copies_begin_as_the_online_side() -> None:
    state = fresh(0).state_dict()
    copied = [name for name in state if name.startswith("target_")]
    assert copied
    for name in copied:
        online = state[name.removeprefix("target_")]
        assert torch.equal(state[name], online)
        assert state[name].data_ptr() != online.data_ptr()


def test_initial_weights_are_those_of_the_generator() -> None:
    before = torch.get_rng_state()
    first, again, other = (fresh(seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    for name, value in first.items():
        assert torch.equal(value, again[name])
        if name.startswith(("projector", "prompts", "embedding_predictor", "mask_predictor")):
            assert not torch.equal(value, other[name])


def assert_like(values: Tensor, cdf: Callable[[np.ndarray], np.ndarray]) -> None:
    assert stats.kstest(values.detach().numpy().ravel(), cdf).pvalue > 1e-4


def test_initial_distributions() -> None:
    fei = fresh(3)
    assert fei.prompts.shape == (90, 32)
    assert_like(fei.prompts, stats.norm.cdf)
    heads = [fei.projector, fei.embedding_predictor, fei.mask_predictor]
    layers = [m for head in heads for m in head.modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in layers] == [
        (64, 32),
        *[(32, 16), (16, 32)] * 2,
    ]
    for layer in layers:
        bound = layer.in_features**-0.5
        assert layer.weight.abs().max() <= bound
        assert layer.bias.abs().max() <= bound
        assert_like(layer.weight / bound, stats.uniform(-1, 2).cdf)
        assert_like(layer.bias / bound, stats.uniform(-1, 2).cdf)


def test_unexplained_is_the_mean_share_of_the_variance_left():
    generator = torch.Generator().manual_seed(0)
    encoder = FEIEncoder(1, 16, generator=generator)
    objective = FEIObjective(encoder, width=16, n_timepoints=40, generator=generator).double()
    x = torch.randn((7, 1, 40), generator=generator, dtype=torch.float64)
    masks = objective.sample_masks(x, None, generator)
    objective.eval()
    with torch.no_grad():
        losses, inference = objective(x, masks=masks), objective.infer(x, masks)
    shares = [
        np.mean((inferred.numpy() - truth.numpy()) ** 2)
        / (truth.numpy().var(axis=(0, 1)).mean() + 1e-12)
        for truth, inferred in (inference[:2], inference[2:])
    ]
    np.testing.assert_allclose(float(losses.unexplained), np.mean(shares), rtol=1e-9)
