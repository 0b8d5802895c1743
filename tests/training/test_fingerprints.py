"""Fingerprints of runs: data, weights, settings, code and versions are in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training_runs import fei_objective, noise_panel

from fei_sklearn.training import fingerprints
from fei_sklearn.training.fingerprints import run_fingerprint

SETTINGS = {"rate": 0.1, "encoder": fei_objective}


def fingerprint(objective=None, panels=None, **changes):
    objective = objective or fei_objective()
    panels = panels or [noise_panel()]
    return run_fingerprint(objective, panels, SETTINGS | changes)


def test_a_fingerprint_depends_on_data_weights_and_settings():
    ragged = noise_panel()
    half = noise_panel(12)
    objective = fei_objective()
    with torch.no_grad():
        objective.prompts[0, 0] += 1e-3
    lengths = np.full(24, 20)
    lengths[0] = 19
    ragged = noise_panel(lengths=lengths)
    fingerprints = [
        fingerprint(),
        fingerprint(objective),
        fingerprint(panels=[ragged]),
        fingerprint(panels=[half, half]),
        fingerprint(rate=0.2),
    ]
    assert fingerprint() == fingerprints[0]
    assert len(fingerprints[0]) == 32
    assert len(set(fingerprints)) == len(fingerprints)


def test_a_fingerprint_does_not_depend_on_the_chunks_of_hashing(monkeypatch):
    expected = fingerprint(panels=[noise_panel(), noise_panel(3)])
    first_chunk = fingerprints.CHUNK_ROWS
    monkeypatch.setattr(fingerprints, "CHUNK_ROWS", 24)
    assert first_chunk > 24
    assert fingerprint(panels=[noise_panel(), noise_panel(3)]) == expected


def test_a_fingerprint_depends_on_the_versions(monkeypatch):
    own = fingerprint()
    with monkeypatch.context() as patched:
        patched.setattr(fingerprints, "version", lambda name: "0.0.1")
        other_package = fingerprint()
    monkeypatch.setattr(torch, "__version__", "2.0.1")
    assert len({own, other_package, fingerprint()}) == 3


@pytest.mark.parametrize("part", ["loss", "encoder"])
def test_a_fingerprint_depends_on_what_is_computed(part, monkeypatch):
    own = fingerprint()
    objective = fei_objective()
    owner = {"loss": type(objective), "encoder": type(objective.encoder)}[part]
    forward = owner.forward

    def edited(*arguments, **named):
        output = forward(*arguments, **named)
        if part == "encoder":
            return 1.01 * output
        return output._replace(loss=1.01 * output.loss)

    monkeypatch.setattr(owner, "forward", edited)
    assert fingerprint(objective) != own


def test_a_fingerprint_leaves_the_objective_and_the_random_state_alone():
    objective = fei_objective()
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    random_state = torch.get_rng_state()
    fingerprint(objective)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(torch.equal(value, before[name]) for name, value in objective.state_dict().items())
    assert all(parameter.grad is None for parameter in objective.parameters())


def test_the_last_bits_of_a_processor_do_not_matter():
    values = torch.randn(500, generator=torch.Generator().manual_seed(0))
    other = values * (1 + 1e-7 * torch.randn(500, generator=torch.Generator().manual_seed(1)))
    assert fingerprints._summary([values]) == fingerprints._summary([other])
    assert fingerprints._summary([values]) != fingerprints._summary([1.01 * values])
    assert fingerprints._summary([values]) != fingerprints._summary([-values])
