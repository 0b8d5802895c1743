"""What holds for every rival: gradients, randomness, lengths, and encoders that are refused."""

from __future__ import annotations

import math

import pytest
import torch
from small_rivals import build_rival
from tensors import noise, padded, seeded

from fei_sklearn.objectives import RIVALS, objective_class
from fei_sklearn.objectives.rivals.rival import at_least_float32

rivals = pytest.mark.parametrize("name", RIVALS)


@rivals
def test_the_loss_trains_every_trainable_parameter(name: str) -> None:
    objective = build_rival(name)
    losses = objective(noise(6, 2, 64), None, generator=seeded(1))
    assert objective.name == name
    assert objective.monitor in losses._fields
    for value in losses:
        assert value.ndim == 0
        assert value.isfinite()
    losses.loss.backward()
    for parameter_name, parameter in objective.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, parameter_name
    gradient_sum = sum(p.grad.abs().sum() for p in objective.encoder.parameters())
    assert gradient_sum > 0


@rivals
def test_randomness_comes_from_the_generator_alone(name: str) -> None:
    objective = build_rival(name).eval()
    x = noise(6, 2, 64)
    before = torch.get_rng_state()
    first = objective(x, generator=seeded(1)).loss.item()
    again = objective(x, generator=seeded(1)).loss.item()
    other = objective(x, generator=seeded(2)).loss.item()
    assert first == again != other
    build_rival(name)
    assert torch.equal(before, torch.get_rng_state())


@rivals
def test_a_batch_of_one_series_has_a_finite_loss(name: str) -> None:
    losses = build_rival(name)(noise(1, 2, 64), None, generator=seeded(1))
    for value in losses:
        assert value.isfinite()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ts2vec", 0),
        ("timedrl", 70_288),
        ("tfc", 198_400),
        ("timesurl", 265_218),
        ("simmtm", 144_948),
        ("infots", 7),
    ],
)
def test_number_of_parameters_beside_the_encoder(name: str, expected: int) -> None:
    objective = build_rival(name, width=256, n_channels=1, n_timepoints=178)
    n_all = sum(p.numel() for p in objective.parameters())
    n_encoder = sum(p.numel() for p in objective.encoder.parameters())
    assert n_all - n_encoder == expected


@pytest.mark.parametrize("name", ["timedrl", "infots"])
def test_series_of_unequal_length_are_refused(name: str) -> None:
    objective = build_rival(name)
    lengths = torch.tensor([64, 40])
    message = f"'{name}' needs series of one length, got lengths from 40 to 64: cut"
    with pytest.raises(ValueError, match=message):
        objective(noise(2, 2, 64), lengths, generator=seeded(0))


@pytest.mark.parametrize("name", ["ts2vec", "timesurl", "tfc", "simmtm"])
def test_padding_has_no_influence_on_the_loss(name: str) -> None:
    lengths = torch.tensor([64, 40, 51, 33])
    x = noise(4, 2, 64)
    clean = build_rival(name)(padded(x, lengths), lengths, generator=seeded(1))
    dirty = build_rival(name)(padded(x, lengths, 1e3), lengths, generator=seeded(1))
    if name in ("ts2vec", "timesurl"):  # crops contain no padding
        assert clean.loss.item() == dirty.loss.item()
    else:
        assert math.isclose(clean.loss.item(), dirty.loss.item(), rel_tol=1e-9)


@pytest.mark.parametrize("name", ["ts2vec", "timedrl", "tfc", "timesurl", "infots"])
def test_foreign_encoders_are_refused(name: str) -> None:
    rival = objective_class(name)

    def convolution(n_channels: int, stride: int = 2) -> torch.nn.Module:
        return torch.nn.Conv1d(n_channels, 8, 3)

    message = f"'{name}' needs the stages of the paper's encoder, got Conv1d: give `encoder`"
    with pytest.raises(ValueError, match=message):
        encoder = rival.build_encoder(convolution, 1, 32, None)
        rival(encoder, width=8, n_channels=1, n_timepoints=32)


@pytest.mark.parametrize(("name", "kind"), [("timedrl", "Patch"), ("tfc", "TimeFrequency")])
def test_encoders_of_another_rival_are_refused(name: str, kind: str) -> None:
    encoder = build_rival("ts2vec").encoder
    message = f"'{name}' needs an encoder of the class {kind}Encoder, got FEIEncoder: build it"
    with pytest.raises(TypeError, match=message):
        objective_class(name)(encoder, width=16, n_channels=2, n_timepoints=64)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_half_precision_becomes_float32(given: torch.dtype, expected: torch.dtype) -> None:
    x = torch.ones(3, dtype=given)
    assert at_least_float32(x).dtype == expected
