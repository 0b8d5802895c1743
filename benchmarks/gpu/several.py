"""A fit on all devices of the machine, beside one on a single device."""

from __future__ import annotations

import numpy as np
import torch

from fei_sklearn import FEIEmbedder
from gpu.panels import difference, sines
from gpu.setting import Setting

#: Largest difference of weights in standard deviations, after few steps.
TOLERANCE = 0.01


def fit_on_all(setting: Setting) -> str:
    """Return how the weights compare, or raise if they differ."""
    n_devices = "auto"
    n_here = torch.cuda.device_count()
    if setting.is_rehearsal:
        n_devices = 2
        n_here = 2
    apart = difference(_weights(setting, n_devices), _weights(setting, 1))
    text = f"Weights differ by {apart:.1e} standard deviations from those of one device."
    if apart > TOLERANCE:
        raise ArithmeticError(f"{text} At most {TOLERANCE} was expected.")
    if n_here == 1:
        return f'The machine has one device, so "auto" starts no further process. {text}'
    return f"{n_here} processes trained together. {text}"


def _weights(setting: Setting, n_devices: int | str) -> np.ndarray:
    """Return all weights of a short fit."""
    X, _ = sines(64)
    embedder = FEIEmbedder(
        32,
        max_epochs=2,
        min_epoch_steps=1,
        batch_size=16,
        precision="32-true",
        pooling="mean",
        device=setting.device,
        n_devices=n_devices,
        random_state=0,
    )
    embedder.fit(X)
    arrays = [array.ravel() for _, array in sorted(embedder.weights_.items())]
    return np.concatenate(arrays)
