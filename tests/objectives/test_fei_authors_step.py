"""Two training steps of the authors' code, number by number.

The arrays in ``golden/authors_step.npz`` come from the authors' repository (MIT licence, commit
0b6d369). Their code ran in float64 with encoder size "tiny", for two steps of a run of ten (5
epochs of 2), with one target series and with two. Weights follow :func:`reference.weights_by_rule`.
Series and masks are stored. The length is even, because the authors' ``irfft`` shortens odd ones.
One mask removes nothing.

Gradients, parameters and batch-norm statistics are stored as digests, see :func:`reference.digest`:
rows of tables whose names are those of our state dict.
"""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from reference import arrays_of, digest, objective, set_weights_by_rule

from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.objectives.fei import FEIObjective, Inference
from fei_sklearn.readout.statistics import pool
from fei_sklearn.training.schedules import momentum_at

GOLDEN = Path(__file__).parents[1] / "golden" / "authors_step.npz"
WIDTH = 128
N_TIMEPOINTS = 36
N_RUN_STEPS = 10

n_targets_cases = pytest.mark.parametrize("n_targets", [1, 2])
step_cases = pytest.mark.parametrize("step", [0, 1])
inference_cases = pytest.mark.parametrize("name", Inference._fields)


@functools.cache
def golden() -> dict[str, np.ndarray]:
    """Return all stored arrays; keys are "n_targets/step/name"."""
    with np.load(GOLDEN) as stored:
        return dict(stored)


def build(n_targets: int) -> FEIObjective:
    """Return our objective in float64, with the weights that the authors' code had."""
    fei = FEIObjective(
        FEIEncoder(1, WIDTH, 2),
        width=WIDTH,
        n_timepoints=N_TIMEPOINTS,
        n_targets=n_targets,
    )
    set_weights_by_rule(fei.double())
    return fei.train()


class Step(NamedTuple):
    """Results of one of our steps, after its update of the target."""

    losses: np.ndarray
    gradients: dict[str, np.ndarray]
    state: dict[str, np.ndarray]


class Run(NamedTuple):
    """Both steps, the inferences of the first one, and features of the trained encoder."""

    inference: Inference
    steps: list[Step]
    features: np.ndarray


def batch(n_targets: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the series and masks of a step."""
    key = f"{n_targets}/{step}"
    series = golden()[f"{key}/x"]
    masks = golden()[f"{key}/masks"].astype(np.float32)
    return torch.from_numpy(series), torch.from_numpy(masks)


def train_step(fei: FEIObjective, optimizer: torch.optim.Optimizer, n_targets: int, i: int) -> Step:
    """Compute the loss and gradients, step the optimiser, and move the momentum copies."""
    x, masks = batch(n_targets, i)
    losses = fei(x, masks=masks)
    optimizer.zero_grad()
    losses.loss.backward()
    gradients = {
        name: parameter.grad.numpy().copy()
        for name, parameter in fei.named_parameters()
        if parameter.requires_grad
    }
    optimizer.step()
    fei.update_target(momentum_at(i, N_RUN_STEPS, 0.995))
    values = [losses.loss, losses.embedding_loss, losses.mask_loss]
    loss_values = np.array([value.item() for value in values])
    return Step(loss_values, gradients, arrays_of(fei.state_dict()))


@functools.cache
def run(n_targets: int) -> Run:
    """Compute two of our steps once; the tests only read them."""
    fei = build(n_targets)
    with torch.no_grad():  # on a copy, because a pass moves the batch-norm statistics
        inference = copy.deepcopy(fei).infer(*batch(n_targets, 0))
    trained = [parameter for parameter in fei.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-4)
    steps = [train_step(fei, optimizer, n_targets, i) for i in range(2)]
    x, _ = batch(n_targets, 0)
    with torch.no_grad():
        features = pool(fei.encoder.eval()(x))
    return Run(inference, steps, features.numpy())


def assert_digests(actual: dict[str, np.ndarray], names: np.ndarray, expected: np.ndarray) -> None:
    """Compare arrays with the rows of a table of digests."""
    assert len(names) == len(expected)
    for name, row in zip(names, expected, strict=True):
        ours = digest(actual[name])
        np.testing.assert_allclose(ours, row, rtol=1e-9, atol=1e-11, err_msg=str(name))


@n_targets_cases
@step_cases
def test_losses_are_the_authors(n_targets: int, step: int) -> None:
    losses = run(n_targets).steps[step].losses
    np.testing.assert_allclose(losses, golden()[f"{n_targets}/{step}/losses"], rtol=1e-10)


@n_targets_cases
@inference_cases
def test_inferences_are_the_authors(n_targets: int, name: str) -> None:
    actual = getattr(run(n_targets).inference, name).numpy()
    expected = golden()[f"{n_targets}/0/{name}"]
    assert actual.shape == expected.shape == (6, n_targets, WIDTH // 2)
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


@n_targets_cases
def test_projected_embeddings_are_the_authors(n_targets: int) -> None:
    fei = build(n_targets)
    x, _ = batch(n_targets, 0)
    with torch.no_grad():
        embeddings = pool(fei.encoder(x))
        projected = fei.projector(embeddings)
    expected = golden()[f"{n_targets}/0/embedding"]
    np.testing.assert_allclose(projected.numpy(), expected, rtol=1e-9, atol=1e-12)


@n_targets_cases
def test_mask_prompt_is_the_authors(n_targets: int) -> None:
    _, masks = batch(n_targets, 0)
    prompt = build(n_targets).mask_prompt(masks).detach().numpy()
    assert masks[2, 0].all()
    assert not prompt[2, 0].any()
    np.testing.assert_allclose(prompt, golden()[f"{n_targets}/0/prompt"], rtol=1e-12, atol=1e-14)


@n_targets_cases
@step_cases
def test_gradients_are_the_authors(n_targets: int, step: int) -> None:
    gradients = run(n_targets).steps[step].gradients
    names = golden()["trained_names"]
    assert set(names) == set(gradients)
    assert_digests(gradients, names, golden()[f"{n_targets}/{step}/gradients"])


@n_targets_cases
@step_cases
def test_online_and_momentum_parameters_are_the_authors(n_targets: int, step: int) -> None:
    names = golden()["parameter_names"]
    assert set(names) == {name for name, _ in build(n_targets).named_parameters()}
    state = run(n_targets).steps[step].state
    assert_digests(state, names, golden()[f"{n_targets}/{step}/parameters"])


@n_targets_cases
@step_cases
def test_batch_norm_statistics_of_both_copies_are_the_authors(n_targets: int, step: int) -> None:
    names = golden()["statistic_names"]
    state = run(n_targets).steps[step].state
    assert set(names) == {name for name in state if "running_" in name}
    assert_digests(state, names, golden()[f"{n_targets}/{step}/statistics"])


@n_targets_cases
def test_features_after_training_are_the_authors(n_targets: int) -> None:
    expected = golden()[f"{n_targets}/features"]
    np.testing.assert_allclose(run(n_targets).features, expected, rtol=1e-9, atol=1e-12)


@n_targets_cases
def test_numpy_reference_agrees_with_the_authors(n_targets: int) -> None:
    """The other oracle of this suite is compared with the same numbers."""
    x, masks = (tensor.numpy().astype(np.float64) for tensor in batch(n_targets, 0))
    params = arrays_of(build(n_targets).state_dict())
    ours = objective(list(x), list(masks), params)
    losses = [ours.loss, ours.embedding_loss, ours.mask_loss]
    np.testing.assert_allclose(losses, golden()[f"{n_targets}/0/losses"], rtol=1e-12)
    for name in Inference._fields:
        expected = golden()[f"{n_targets}/0/{name}"]
        np.testing.assert_allclose(getattr(ours, name), expected, rtol=1e-9, atol=1e-12)
    names = golden()["statistic_names"]
    assert_digests(params, names, golden()[f"{n_targets}/0/statistics"])
