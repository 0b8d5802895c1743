"""FEI's losses, prompts, momentum copies and initial weights, against NumPy."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import reference
import torch
from scipy import stats
from small_fei import (
    N_TIMEPOINTS,
    WIDTH,
    build_fei,
    draw,
    panel,
    reference_losses,
    trained_parameters,
)
from tensors import padded, seeded
from torch import Tensor, nn

from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.masking import apply_mask, n_positions, sample_mask
from fei_sklearn.objectives.fei import FEIObjective
from fei_sklearn.training.schedules import momentum_at

kinds = pytest.mark.parametrize("kind", ["discrete", "continuous", "temporal"])
n_targets_cases = pytest.mark.parametrize("n_targets", [1, 3])
modes = pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])


# Losses


@kinds
@n_targets_cases
@modes
def test_losses_are_the_references(kind: str, n_targets: int, training: bool) -> None:
    fei = build_fei(kind, n_targets).train(training)
    x = panel(5)
    masks = draw(kind, n_targets)
    params = reference.arrays_of(fei.state_dict())
    expected = reference_losses(fei, x, masks, params, training=training)
    actual = fei(x, masks=masks)
    for name in ("loss", "embedding_loss", "mask_loss"):
        value = getattr(actual, name)
        assert value.ndim == 0
        np.testing.assert_allclose(value.item(), getattr(expected, name), rtol=1e-10)


@kinds
@n_targets_cases
def test_inferences_are_the_references(kind: str, n_targets: int) -> None:
    fei = build_fei(kind, n_targets, stride=1)
    x = panel(5)
    masks = draw(kind, n_targets)
    params = reference.arrays_of(fei.state_dict())
    expected = reference_losses(fei, x, masks, params, stride=1)
    for name, value in fei.infer(x, masks)._asdict().items():
        assert value.shape == (5, n_targets, WIDTH // 2)
        truth = getattr(expected, name)
        np.testing.assert_allclose(value.detach().numpy(), truth, rtol=1e-9, atol=1e-12)


@kinds
def test_equal_lengths_change_nothing(kind: str) -> None:
    x = panel(5)
    masks = draw(kind, 2)
    lengths = torch.full((5,), N_TIMEPOINTS)
    without_lengths = build_fei(kind, 2)(x, masks=masks)
    with_lengths = build_fei(kind, 2)(x, lengths, masks=masks)
    for actual, expected in zip(with_lengths, without_lengths, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=0)


@kinds
@n_targets_cases
def test_losses_of_series_of_unequal_length(kind: str, n_targets: int) -> None:
    lengths = torch.tensor([37, 12, 29, 2, 50])
    x = padded(panel(5, 50), lengths)
    sizes = n_positions(lengths, kind)
    masks = sample_mask(5, sizes, (0.1, 0.7), kind, n_targets=n_targets, generator=seeded(2))
    fei = build_fei(kind, n_targets)
    params = reference.arrays_of(fei.state_dict())
    series = []
    own_masks = []
    prompts = []
    for i, length in enumerate(lengths.tolist()):
        series.append(x[i, :, :length].numpy())
        own_masks.append(masks[i, :, : sizes[i]].double().numpy())
        own_prompts = reference.prompts_at(params["prompts"], length, N_TIMEPOINTS, kind)
        prompts.append(own_prompts)
    expected = reference.objective(series, own_masks, params, kind=kind, prompts=prompts)
    actual = fei(x, lengths, masks=masks)
    np.testing.assert_allclose(actual.embedding_loss.item(), expected.embedding_loss, rtol=1e-9)
    np.testing.assert_allclose(actual.mask_loss.item(), expected.mask_loss, rtol=1e-9)


def test_masks_come_from_the_generator_alone() -> None:
    fei = build_fei(n_targets=2).eval()
    x = panel(5)
    before = torch.get_rng_state()
    first = fei(x, generator=seeded(3)).loss.item()
    again = fei(x, generator=seeded(3)).loss.item()
    other = fei(x, generator=seeded(4)).loss.item()
    assert first == again != other
    assert torch.equal(before, torch.get_rng_state())


@kinds
def test_drawn_masks_have_the_ratio_and_kind_of_the_objective(kind: str) -> None:
    fei = build_fei(kind, n_targets=2).eval()
    fei.mask_ratio = (0.4, 0.4)
    size = n_positions(N_TIMEPOINTS, kind)
    masks = sample_mask(5, size, (0.4, 0.4), kind, n_targets=2, generator=seeded(5))
    n_removed = (1 - masks).sum(dim=-1)
    assert (n_removed == round(0.4 * size)).all()
    drawn = fei(panel(5), generator=seeded(5))
    given = fei(panel(5), masks=masks)
    torch.testing.assert_close(drawn.loss, given.loss)


def test_unexplained_is_the_mean_share_of_the_variance_left() -> None:
    fei = fresh(0, width=16, n_timepoints=40).double().eval()
    x = torch.randn((7, 1, 40), generator=seeded(0), dtype=torch.float64)
    masks = fei.sample_masks(x, None, seeded(1))
    with torch.no_grad():
        losses = fei(x, masks=masks)
        target, inferred_target, prompt, inferred_prompt = fei.infer(x, masks)
    shares = []
    for truth, inferred in ((target, inferred_target), (prompt, inferred_prompt)):
        error = np.mean((inferred - truth).numpy() ** 2)
        variance = truth.numpy().var(axis=(0, 1)).mean()
        shares.append(error / (variance + 1e-12))
    np.testing.assert_allclose(float(losses.unexplained), np.mean(shares), rtol=1e-9)


# Prompts


@kinds
def test_mask_prompt(kind: str) -> None:
    fei = build_fei(kind)
    masks = draw(kind, 3)
    prompts = fei.prompts.detach().numpy()
    actual = fei.mask_prompt(masks)
    assert actual.shape == (5, 3, WIDTH // 2)
    expected = reference.mask_prompt(masks.double().numpy(), prompts)
    np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=1e-10, atol=1e-13)


def test_a_mask_that_removes_nothing_has_a_zero_prompt_and_finite_gradients() -> None:
    fei = build_fei()
    masks = torch.ones(5, 1, 19)
    assert not fei.mask_prompt(masks).detach().any()
    fei(panel(5), masks=masks).loss.backward()
    for parameter in trained_parameters(fei).values():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


@pytest.mark.parametrize("n_removed", [1, 4, 9, 19])
def test_the_size_of_a_prompt_grows_with_the_root_of_the_number(n_removed: int) -> None:
    fei = build_fei()
    masks = torch.ones(1, 1, 19)
    masks[:, :, :n_removed] = 0
    with torch.no_grad():
        fei.prompts.fill_(1.0)
    prompt = fei.mask_prompt(masks).detach().numpy()
    np.testing.assert_allclose(prompt, np.sqrt(n_removed), rtol=1e-5)


@kinds
@pytest.mark.parametrize("n_timepoints", [2, 3, 20, 36, 37, 38, 74, 111])
def test_prompts_of_another_length_are_interpolated(kind: str, n_timepoints: int) -> None:
    fei = build_fei(kind)
    size = n_positions(n_timepoints, kind)
    one_removed = 1 - torch.eye(size)[:, None]  # one position per mask
    actual = fei.mask_prompt(one_removed, n_timepoints)[:, 0].detach().numpy()
    prompts = fei.prompts.detach().numpy()
    expected = reference.prompts_at(prompts, n_timepoints, N_TIMEPOINTS, kind)
    np.testing.assert_allclose(actual, expected / (1 + 1e-6), rtol=1e-9, atol=1e-12)


@kinds
def test_prompts_of_unequal_lengths_are_those_of_each_row(kind: str) -> None:
    fei = build_fei(kind)
    lengths = torch.tensor([37, 20, 50])
    sizes = n_positions(lengths, kind)
    masks = sample_mask(3, sizes, 0.7, kind, n_targets=2, generator=seeded(6))
    together = fei.mask_prompt(masks, lengths)
    for i, length in enumerate(lengths.tolist()):
        own_mask = masks[i : i + 1, :, : sizes[i]]
        alone = fei.mask_prompt(own_mask, length)
        torch.testing.assert_close(together[i : i + 1], alone)


# Momentum copies and batch-norm statistics


@pytest.mark.parametrize("start", [0.9, 0.995])
def test_momentum_grows_linearly_to_one(start: float) -> None:
    ramp = [momentum_at(step, 8, start) for step in range(9)]
    expected = [reference.momentum_at(step, 8, start) for step in range(9)]
    np.testing.assert_allclose(ramp, expected, rtol=1e-14)
    assert ramp[0] == start
    assert ramp[-1] == 1.0
    assert momentum_at(0, 10) == 0.995


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.995, 1.0])
def test_update_moves_the_parameters_of_the_copies_alone(momentum: float) -> None:
    fei = build_fei()
    before = reference.arrays_of(fei.state_dict())
    fei.update_target(momentum)
    after = reference.arrays_of(fei.state_dict())
    moved = {name for name, _ in fei.named_parameters() if name.startswith("target_")}
    assert len(moved) == 65
    for name in moved:
        online = before[name.removeprefix("target_")]
        expected = reference.moved_target(before[name], online, momentum)
        np.testing.assert_allclose(after[name], expected, rtol=1e-13, atol=1e-15, err_msg=name)
    for name in after.keys() - moved:  # the online side, and all batch-norm statistics
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)


@kinds
@n_targets_cases
def test_statistics_come_from_the_input_of_each_encoder(kind: str, n_targets: int) -> None:
    fei = build_fei(kind, n_targets)
    x = panel(5)
    masks = draw(kind, n_targets)
    online = copy.deepcopy(fei.encoder)
    target = copy.deepcopy(fei.target_encoder)
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
    fei = build_fei(kind, 2)
    x = panel(5)
    masks = draw(kind, 2)
    params = reference.arrays_of(fei.state_dict())
    fei(x, masks=masks)
    reference_losses(fei, x, masks, params)  # moves the statistics in `params`
    for name, value in reference.arrays_of(fei.state_dict()).items():
        if "running" in name:
            np.testing.assert_allclose(value, params[name], rtol=1e-9, err_msg=name)


def test_evaluation_moves_nothing() -> None:
    fei = build_fei(n_targets=2).eval()
    before = copy.deepcopy(fei.state_dict())
    fei(panel(5), masks=draw(n_targets=2))
    for name, value in fei.state_dict().items():
        assert torch.equal(value, before[name]), name


# Initial weights


def fresh(seed: int, width: int = 64, n_timepoints: int = 178) -> FEIObjective:
    generator = seeded(seed)
    encoder = FEIEncoder(1, width, generator=generator)
    return FEIObjective(encoder, width=width, n_timepoints=n_timepoints, generator=generator)


def test_copies_begin_as_the_online_side() -> None:
    state = fresh(0).state_dict()
    copied = [name for name in state if name.startswith("target_")]
    assert copied
    for name in copied:
        online = state[name.removeprefix("target_")]
        assert torch.equal(state[name], online)
        assert state[name].data_ptr() != online.data_ptr()


def test_initial_weights_come_from_the_generator_alone() -> None:
    before = torch.get_rng_state()
    first = fresh(1).state_dict()
    again = fresh(1).state_dict()
    other = fresh(2).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    heads = ("projector", "prompts", "embedding_predictor", "mask_predictor")
    for name, value in first.items():
        assert torch.equal(value, again[name])
        if name.startswith(heads):
            assert not torch.equal(value, other[name])


def assert_distribution(values: Tensor, cdf: Callable[[np.ndarray], np.ndarray]) -> None:
    flat = values.detach().numpy().ravel()
    assert stats.kstest(flat, cdf).pvalue > 1e-4


def test_prompts_begin_standard_normal() -> None:
    prompts = fresh(3).prompts
    assert prompts.shape == (90, 32)
    assert_distribution(prompts, stats.norm.cdf)


def test_heads_begin_uniform() -> None:
    fei = fresh(3)
    layers = [fei.projector]
    for predictor in (fei.embedding_predictor, fei.mask_predictor):
        layers += [layer for layer in predictor if isinstance(layer, nn.Linear)]
    shapes = [(layer.in_features, layer.out_features) for layer in layers]
    assert shapes == [(64, 32), (32, 16), (16, 32), (32, 16), (16, 32)]
    uniform = stats.uniform(-1, 2)
    for layer in layers:
        bound = layer.in_features**-0.5
        assert layer.weight.abs().max() <= bound
        assert layer.bias.abs().max() <= bound
        assert_distribution(layer.weight / bound, uniform.cdf)
        assert_distribution(layer.bias / bound, uniform.cdf)
