"""Stop-gradients of FEI, and its gradients against slopes of the NumPy reference."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import torch
from small_fei import build_fei, draw, panel, reference_losses, trained_parameters
from torch import Tensor, nn


def assert_no_gradient(loss: Tensor, parameters: dict[str, nn.Parameter]) -> None:
    assert parameters
    gradients = torch.autograd.grad(
        loss,
        list(parameters.values()),
        retain_graph=True,
        allow_unused=True,
    )
    for name, gradient in zip(parameters, gradients, strict=True):
        assert gradient is None or not gradient.any(), name


def assert_gradient(loss: Tensor, parameters: dict[str, nn.Parameter]) -> None:
    gradients = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True)
    for name, gradient in zip(parameters, gradients, strict=True):
        assert gradient.abs().max() > 1e-6, name


@pytest.mark.parametrize("kind", ["discrete", "continuous", "temporal"])
def test_each_loss_trains_its_own_parameters_alone(kind: str) -> None:
    fei = build_fei(kind, 2)
    losses = fei(panel(5), masks=draw(kind, 2))
    embeds = trained_parameters(fei, "encoder.", "projector.", "embedding_predictor.")
    infers_masks = trained_parameters(fei, "prompts", "mask_predictor.")
    assert embeds.keys() | infers_masks.keys() == trained_parameters(fei).keys()
    assert_gradient(losses.embedding_loss, embeds)
    assert_no_gradient(losses.embedding_loss, infers_masks)
    assert_gradient(losses.mask_loss, infers_masks)
    assert_no_gradient(losses.mask_loss, embeds)


def test_momentum_copies_are_not_trained() -> None:
    fei = build_fei()
    fei(panel(5), masks=draw()).loss.backward()
    for name, parameter in fei.named_parameters():
        is_copy = name.startswith(("target_encoder.", "target_projector."))
        assert parameter.requires_grad is not is_copy, name
        assert (parameter.grad is None) is is_copy, name


def test_targets_have_no_gradient_even_if_the_copies_require_one() -> None:
    fei = build_fei(n_targets=2)
    fei.target_encoder.requires_grad_(True)
    fei.target_projector.requires_grad_(True)
    losses = fei(panel(5), masks=draw(n_targets=2))
    copies = trained_parameters(fei, "target_encoder.", "target_projector.")
    assert_no_gradient(losses.loss, copies)


@pytest.mark.parametrize(
    ("prefix", "loss_name"),
    [
        ("encoder.", "embedding_loss"),
        ("projector.", "embedding_loss"),
        ("embedding_predictor.", "embedding_loss"),
        ("mask_predictor.", "mask_loss"),
        ("prompts", "mask_loss"),
    ],
)
def test_gradients_are_the_slopes_of_the_reference(prefix: str, loss_name: str) -> None:
    """Along a random direction. Parameters of one loss alone need no stop-gradient in NumPy."""
    fei = build_fei(n_targets=2)
    x = panel(5)
    masks = draw(n_targets=2)
    params = reference.arrays_of(fei.state_dict())
    parameters = trained_parameters(fei, prefix)
    directions = {
        name: reference.weights_by_rule(f"direction {name}", parameter.shape)
        for name, parameter in parameters.items()
    }

    def value(step: float) -> float:
        moved = dict(params)
        for name, direction in directions.items():
            moved[name] = params[name] + step * direction
        return getattr(reference_losses(fei, x, masks, moved), loss_name)

    # central differences of fourth order
    h = 1e-5
    near = value(h) - value(-h)
    far = value(2 * h) - value(-2 * h)
    slope = (8 * near - far) / (12 * h)

    fei(x, masks=masks).loss.backward()
    actual = 0.0
    for name, parameter in parameters.items():
        actual += np.sum(parameter.grad.numpy() * directions[name])
    np.testing.assert_allclose(actual, slope, rtol=1e-6)
