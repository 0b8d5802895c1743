"""Names of arrays among a model's weights."""

from __future__ import annotations

import numpy as np

from fei_sklearn._bridge.weight_names import (
    as_model_weights,
    bias_name,
    encoder_weights,
    threshold_name,
)


def test_encoder_weights_are_found_under_their_own_names():
    state = {"stem.weight": np.zeros(2), "norm": np.ones(3)}
    weights = {"projector": np.ones(1), bias_name("level"): np.ones(4)}
    weights |= {threshold_name("sum"): np.ones(4)} | as_model_weights(state)
    others = {"projector", "biases.level", "thresholds.sum"}
    assert set(weights) == others | {"encoder.stem.weight", "encoder.norm"}
    found = encoder_weights(weights)
    assert list(found) == list(state)
    assert all(found[name] is array for name, array in state.items())
