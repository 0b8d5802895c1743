"""Defaults of the contracts, and the two states of a pretraining objective."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from fei_sklearn.objectives.base import Objective, PretrainingObjective


class Losses(NamedTuple):
    loss: Tensor


class Smallest(Objective):
    def forward(self, x: Tensor) -> Losses:
        return Losses(x.mean())


class WithCopy(PretrainingObjective):
    momentum_copies = MappingProxyType({"target_encoder": "encoder"})

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(2, 3)
        self.target_encoder = nn.Linear(2, 3)
        self.target_scale = nn.Parameter(torch.ones(2))

    def forward(self, x: Tensor) -> Losses:
        return Losses(self.encoder(x).mean())


def test_defaults() -> None:
    objective = Smallest()
    assert objective.monitor == "loss"
    assert objective.max_gradient_norm is None
    assert objective.resumable
    assert not objective.mean_over_series
    assert objective.undecayed() == []
    assert objective.update_target(0.9) is None


def test_an_objective_without_masks_names_itself() -> None:
    with pytest.raises(NotImplementedError, match="Smallest draws no masks"):
        Smallest().sample_masks(torch.zeros(1, 1, 4), None, None)


def test_an_objective_needs_a_forward_pass() -> None:
    with pytest.raises(TypeError, match="forward"):
        Objective()


def test_the_default_encoder_is_the_built_one() -> None:
    def build(n_channels: int, stride: int = 2) -> nn.Module:
        return nn.Conv1d(n_channels, 8, 3, stride=stride)

    encoder = PretrainingObjective.build_encoder(build, 3, 40, None)
    assert isinstance(encoder, nn.Conv1d)
    assert (encoder.in_channels, encoder.stride) == (3, (2,))


def test_states_are_divided_by_the_named_copies() -> None:
    objective = WithCopy()
    copied = {"target_encoder.weight", "target_encoder.bias"}
    assert objective.momentum_state().keys() == copied
    assert objective.model_state().keys() == objective.state_dict().keys() - copied
    assert "target_scale" in objective.model_state()  # its name alone makes it no copy


def test_the_momentum_state_is_loaded_into_the_copies_alone() -> None:
    objective = WithCopy()
    other = WithCopy()
    expected = objective.model_state() | other.momentum_state()
    expected = {name: value.clone() for name, value in expected.items()}
    objective.load_momentum_state(other.momentum_state())
    for name, value in objective.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_the_model_state_is_loaded_into_originals_and_copies() -> None:
    objective = WithCopy()
    state = WithCopy().model_state()
    objective.load_model_state(state)
    for name in ("encoder.weight", "encoder.bias", "target_scale"):
        assert torch.equal(objective.state_dict()[name], state[name])
    assert torch.equal(objective.target_encoder.weight, state["encoder.weight"])
    assert torch.equal(objective.target_encoder.bias, state["encoder.bias"])


def test_weights_of_another_shape_or_name_are_not_loaded() -> None:
    objective = WithCopy()
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    bias = torch.full((3,), 5.0)
    state = {"encoder.weight": torch.zeros(4, 2), "encoder.bias": bias, "head.weight": bias}
    objective.load_model_state(state)
    assert torch.equal(objective.encoder.weight, before["encoder.weight"])
    assert torch.equal(objective.target_encoder.weight, before["target_encoder.weight"])
    assert torch.equal(objective.encoder.bias, bias)
    assert torch.equal(objective.target_encoder.bias, bias)
