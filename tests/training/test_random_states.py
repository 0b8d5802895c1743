"""Random states of devices."""

from __future__ import annotations

import pytest
import torch

from fei_sklearn.training.random_states import random_state, seed_random_state, set_random_state

CPU = torch.device("cpu")


@pytest.fixture
def states(monkeypatch):
    """States of the generators of accelerators by device, as torch's modules would keep them."""
    kept = {}

    def set_mps(state):
        kept["mps"] = state

    def set_xpu(state, device):
        kept[str(device)] = state

    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: kept["mps"])
    monkeypatch.setattr(torch.mps, "set_rng_state", set_mps)
    monkeypatch.setattr(torch.xpu, "get_rng_state", lambda device: kept[str(device)])
    monkeypatch.setattr(torch.xpu, "set_rng_state", set_xpu)
    return kept


def test_a_seed_draws_the_numbers_of_torchs_own():
    before = random_state(CPU)
    try:
        torch.manual_seed(5)
        expected = torch.randn(3)
        seed_random_state(CPU, 5)
        assert torch.equal(torch.randn(3), expected)
    finally:
        set_random_state(CPU, before)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["mps", "xpu:1"])
def test_the_state_is_that_of_the_device(name, states):
    device = torch.device(name)
    set_random_state(device, torch.ones(2))
    assert states.keys() == {name}
    assert torch.equal(random_state(device), torch.ones(2))


@pytest.mark.parametrize("name", ["mps", "xpu:1"])
def test_a_seed_changes_no_other_device(name, states, monkeypatch):
    on_cpu = random_state(CPU)
    expected = torch.Generator().manual_seed(7).get_state()
    generators = torch.Generator
    monkeypatch.setattr(torch, "Generator", lambda device: generators())
    seed_random_state(torch.device(name), 7)
    assert torch.equal(states[name], expected)
    assert torch.equal(random_state(CPU), on_cpu)
