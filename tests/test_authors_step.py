"""Two training steps of the authors' code, number by number.

The arrays in ``golden/authors_step.npz`` come from the authors' repository (MIT licence, commit
0b6d369), run in float64 with encoder size "tiny", for two steps of a run of ten (5 epochs of 2),
with one target series and with two. Weights follow :func:`reference.weights_by_rule`, series and
masks are stored. The length is even, because the authors' ``irfft`` shortens odd ones. One mask
removes nothing.

Gradients, parameters and batch-norm statistics are held as digests, see :func:`reference.digest`:
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
from reference import arrays_of, digest, objective, weights_by_rule

from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.objectives.fei import FEIObjective, Inference
from fei_sklearn.readout.pooling import pool
from fei_sklearn.training.schedules import momentum_at

GOLDEN = Path(__file__).parent / "golden" / "authors_step.npz"
WIDTH, N_TIMEPOINTS, N_RUN_STEPS = 128, 36, 10


@functools.cache
def golden() -> dict[str, np.ndarray]:
    """All stored arrays; keys are "n_targets/step/what"."""
    with np.load(GOLDEN) as stored:
        return dict(stored)


def build(n_targets: int) -> FEIObjective:
    """Our objective in float64, with the weights that the authors' code had."""
    fei = FEIObjective(
        FEIEncoder(1, WIDTH, 2), width=WIDTH, n_timepoints=N_TIMEPOINTS, n_targets=n_targets
    ).double()
    with torch.no_grad():
        for name, value in fei.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                value.copy_(torch.from_numpy(weights_by_rule(name, tuple(value.shape))))
    return fei.train()


class Step(NamedTuple):
    """What one step of ours gave, after its update of the target."""

    losses: np.ndarray
    gradients: dict[str, np.ndarray]
    state: dict[str, np.ndarray]


class Run(NamedTuple):
    """Both steps, what the first one inferred, and features of the encoder left behind."""

    inference: Inference
    steps: list[Step]
    features: np.ndarray


def batch(n_targets: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Series and masks of a step."""
    key = f"{n_targets}/{step}"
    masks = golden()[f"{key}/masks"].astype(np.float32)
    return torch.from_numpy(golden()[f"{key}/x"]), torch.from_numpy(masks)


def train_step(fei: FEIObjective, optimizer: torch.optim.Optimizer, n_targets: int, i: int) -> Step:
    """Loss, gradients, optimiser, momentum copies, in this order."""
    x, masks = batch(n_targets, i)
    losses = fei(x, masks=masks)
    optimizer.zero_grad()
    losses.loss.backward()
    gradients = {n: p.grad.numpy().copy() for n, p in fei.named_parameters() if p.requires_grad}
    optimizer.step()
    fei.update_target(momentum_at(i, N_RUN_STEPS, 0.995))
    values = [losses.loss, losses.embedding_loss, losses.mask_loss]
    return Step(np.array([v.item() for v in values]), gradients, arrays_of(fei.state_dict()))


@functools.cache
def run(n_targets: int) -> Run:
    """Two steps of ours; computed once, and only read by the tests."""
    fei = build(n_targets)
    with torch.no_grad():  # on a copy, because a pass moves the batch-norm statistics
        inference = copy.deepcopy(fei).infer(*batch(n_targets, 0))
    optimizer = torch.optim.AdamW([p for p in fei.parameters() if p.requires_grad], lr=2e-4)
    steps = [train_step(fei, optimizer, n_targets, i) for i in range(2)]
    with torch.no_grad():
        features = pool(fei.encoder.eval()(batch(n_targets, 0)[0]))
    return Run(inference, steps, features.numpy())


def assert_digests(actual: dict[str, np.ndarray], names: np.ndarray, expected: np.ndarray) -> None:
    """Compare arrays with rows of a table of digests."""
    assert len(names) == len(expected)
    for name, row in zip(names, expected, strict=True):
        ours = digest(actual[name])
        np.testing.assert_allclose(ours, row, rtol=1e-9, atol=1e-11, err_msg=str(name))


n_targets_cases = pytest.mark.parametrize("n_targets", [1, 2])
step_cases = pytest.mark.parametrize("step", [0, 1])


@n_targets_cases
def test_losses_are_the_authors(n_targets: int) -> None:
    for i, step in enumerate(run(n_targets).steps):
        np.testing.assert_allclose(step.losses, golden()[f"{n_targets}/{i}/losses"], rtol=1e-10)


@n_targets_cases
@pytest.mark.parametrize("what", Inference._fields)
def test_inferences_are_the_authors(n_targets: int, what: str) -> None:
    actual = getattr(run(n_targets).inference, what).numpy()
    expected = golden()[f"{n_targets}/0/{what}"]
    assert actual.shape == expected.shape == (6, n_targets, WIDTH // 2)
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


@n_targets_cases
def test_projected_embeddings_are_the_authors(n_targets: int) -> None:
    fei = build(n_targets)
    with torch.no_grad():
        projected = fei.projector(pool(fei.encoder(batch(n_targets, 0)[0])))
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
    expected = golden()[f"{n_targets}/{step}/parameters"]
    assert_digests(run(n_targets).steps[step].state, names, expected)


@n_targets_cases
@step_cases
def test_batch_norm_statistics_of_both_copies_are_the_authors(n_targets: int, step: int) -> None:
    names, state = golden()["statistic_names"], run(n_targets).steps[step].state
    assert set(names) == {name for name in state if "running_" in name}
    assert_digests(state, names, golden()[f"{n_targets}/{step}/statistics"])


@n_targets_cases
def test_features_after_training_are_the_authors(n_targets: int) -> None:
    expected = golden()[f"{n_targets}/features"]
    np.testing.assert_allclose(run(n_targets).features, expected, rtol=1e-9, atol=1e-12)


@n_targets_cases
def test_numpy_reference_agrees_with_the_authors(n_targets: int) -> None:
    """The other oracle of this suite is held to the same numbers."""
    x, masks = (t.numpy().astype(np.float64) for t in batch(n_targets, 0))
    params = arrays_of(build(n_targets).state_dict())
    ours = objective(list(x), list(masks), params)
    losses = [ours.loss, ours.embedding_loss, ours.mask_loss]
    np.testing.assert_allclose(losses, golden()[f"{n_targets}/0/losses"], rtol=1e-12)
    for what in Inference._fields:
        expected = golden()[f"{n_targets}/0/{what}"]
        np.testing.assert_allclose(getattr(ours, what), expected, rtol=1e-9, atol=1e-12)
    names = golden()["statistic_names"]
    assert_digests(params, names, golden()[f"{n_targets}/0/statistics"])
