"""Specs: batch sizes, seeds, and names among a model's weights."""

from __future__ import annotations

import numpy as np
import pytest

from fei_sklearn._bridge.spec import (
    OptimisationSpec,
    PretrainingSeeds,
    as_model_weights,
    bias_name,
    chunk_seed,
    encoder_weights,
    threshold_name,
)


def optimisation(batch_size):
    return OptimisationSpec(1, 1, batch_size, 1e-3, "cosine", None, "auto")


@pytest.mark.parametrize(
    ("n_series", "expected"),
    [(1, 16), (128, 16), (200, 32), (1000, 128), (4096, 512), (10**6, 512)],
)
def test_automatic_batch_size_is_near_an_eighth_of_the_panel(n_series, expected):
    assert optimisation("auto").batch_size_for(n_series) == expected


def test_a_given_batch_size_is_kept():
    assert optimisation(3).batch_size_for(10**6) == 3


def test_seeds_are_the_states_of_one_sequence():
    seeds = PretrainingSeeds.from_seed(7)
    states = np.random.SeedSequence(7).generate_state(4)
    found = [
        seeds.initial_weights,
        seeds.training,
        seeds.validation_split,
        seeds.calibration,
    ]
    assert found == states.tolist()
    assert all(type(seed) is int for seed in found)


def test_chunks_of_a_stream_have_different_seeds():
    assert chunk_seed(7, 0) != chunk_seed(7, 1)
    assert chunk_seed(7, 1) == np.random.SeedSequence([7, 1]).generate_state(1)[0]


def test_encoder_weights_are_found_under_their_own_names():
    state = {"stem.weight": np.zeros(2), "norm": np.ones(3)}
    weights = {"projector": np.ones(1), bias_name("level"): np.ones(4)}
    weights |= {threshold_name("sum"): np.ones(4)} | as_model_weights(state)
    others = {"projector", "biases.level", "thresholds.sum"}
    assert set(weights) == others | {"encoder.stem.weight", "encoder.norm"}
    found = encoder_weights(weights)
    assert list(found) == list(state)
    assert all(found[name] is array for name, array in state.items())
