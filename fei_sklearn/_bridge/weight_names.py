"""Names of arrays among a model's weights, which saved models have as well."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Weights = dict[str, np.ndarray]

_ENCODER = "encoder."
_BIASES = "biases."
_THRESHOLDS = "thresholds."

#: Names that the arrays of principal axes have among a model's weights.
AXES_MEAN = "axes.mean"
AXES_SCALE = "axes.scale"
AXES_COMPONENTS = "axes.components"


def encoder_weights(weights: Mapping[str, np.ndarray]) -> Weights:
    """Return a model's encoder weights under the names that the encoder itself gives them."""
    return {
        name.removeprefix(_ENCODER): array
        for name, array in weights.items()
        if name.startswith(_ENCODER)
    }


def as_model_weights(encoder_state: Mapping[str, np.ndarray]) -> Weights:
    """Return encoder weights under the names that they have among a model's weights."""
    return {f"{_ENCODER}{name}": array for name, array in encoder_state.items()}


def bias_name(view: str) -> str:
    """Return the name that the "ppv" biases of a view have among a model's weights."""
    return f"{_BIASES}{view}"


def threshold_name(view: str) -> str:
    """Return the name that the thresholds of a view of the front have among a model's weights."""
    return f"{_THRESHOLDS}{view}"
