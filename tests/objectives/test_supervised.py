"""Losses of a head on a readout, its penalty, and batch norm that keeps its statistics."""

from __future__ import annotations

import copy

import pytest
import torch
from tensors import noise, seeded
from torch import Tensor
from torch.nn import functional as F

from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.objectives.supervised import Features, LinearHead, SupervisedObjective
from fei_sklearn.readout.pooling import Readout

X = noise(6, 5, 1)
CLASSES = torch.tensor([0, 1, 2, 0, 1, 2])
VALUES = noise(6, 3, seed=1)


def head() -> LinearHead:
    scale = noise(5, seed=2).abs() + 0.5
    return LinearHead(noise(5, seed=3), scale, noise(3, 5, seed=4), noise(3, seed=5))


def outputs_of(layer: LinearHead) -> Tensor:
    standardised = (X.flatten(1) - layer.centre) / layer.scale
    return standardised @ layer.weight.T + layer.bias


def test_the_head_is_a_linear_map_of_standardised_features() -> None:
    layer = head()
    torch.testing.assert_close(layer(X.flatten(1)), outputs_of(layer))
    assert {name for name, _ in layer.named_parameters()} == {"weight", "bias"}


@pytest.mark.parametrize("class_weight", [None, torch.tensor([1.0, 2.0, 4.0]).double()])
def test_integer_targets_are_classes(class_weight: Tensor | None) -> None:
    layer = head()
    objective = SupervisedObjective(Features(), layer, class_weight)
    losses = objective(X, None, CLASSES)
    log_probability = outputs_of(layer).log_softmax(dim=1)
    own = log_probability.gather(1, CLASSES[:, None])[:, 0]
    weights = torch.ones(3).double() if class_weight is None else class_weight
    weights = weights[CLASSES]
    expected = -(weights * own).sum() / weights.sum()
    torch.testing.assert_close(losses.loss, expected)
    assert losses.loss is losses.prediction_loss


def test_floating_targets_are_regressed() -> None:
    layer = head()
    losses = SupervisedObjective(Features(), layer)(X, None, VALUES)
    expected = (outputs_of(layer) - VALUES).square().mean()
    torch.testing.assert_close(losses.loss, expected)


def test_the_penalty_is_the_squared_distance_from_the_anchor() -> None:
    layer = head()
    anchor = noise(3, 5, seed=6)
    objective = SupervisedObjective(Features(), layer, penalty=0.3, anchor=anchor)
    losses = objective(X, None, VALUES)
    distance = (layer.weight - anchor).square().sum()
    expected = F.mse_loss(outputs_of(layer), VALUES)
    torch.testing.assert_close(losses.prediction_loss, expected)
    torch.testing.assert_close(losses.loss, expected + 0.3 * distance)
    assert objective.monitor == "prediction_loss"


def test_training_keeps_the_statistics_of_the_encoder() -> None:
    encoder = FEIEncoder(1, 8, 1, generator=seeded(0))
    layer = LinearHead(torch.zeros(8), torch.ones(8), torch.ones(1, 8), torch.zeros(1))
    objective = SupervisedObjective(Readout(encoder), layer).train()
    before = copy.deepcopy(encoder.state_dict())
    x = torch.randn((4, 1, 40), generator=seeded(1))
    losses = objective(x, None, torch.ones(4, 1))
    losses.loss.backward()
    assert objective.training
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name]), name
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name


@pytest.mark.parametrize("class_weight", [None, torch.tensor([1.0, 2.0, 4.0]).double()])
def test_weights_of_classified_series(class_weight: Tensor | None) -> None:
    layer = head()
    weights = noise(6, seed=6).abs()
    loss = SupervisedObjective(Features(), layer, class_weight)(X, None, CLASSES, weights).loss
    own = outputs_of(layer).log_softmax(dim=1).gather(1, CLASSES[:, None])[:, 0]
    total = weights if class_weight is None else weights * class_weight[CLASSES]
    torch.testing.assert_close(loss, -(total * own).sum() / 6)


def test_weights_of_regressed_series() -> None:
    layer = head()
    weights = noise(6, seed=6).abs()
    loss = SupervisedObjective(Features(), layer)(X, None, VALUES, weights).loss
    squares = (outputs_of(layer) - VALUES) ** 2
    torch.testing.assert_close(loss, (weights[:, None] * squares).sum() / VALUES.numel())
