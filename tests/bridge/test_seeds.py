"""Seeds of a pretraining: one per random stream, others for each chunk of a stream."""

from __future__ import annotations

import numpy as np

from fei_sklearn._bridge.seeds import PretrainingSeeds, chunk_seed


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
