"""A fit in each precision, on the same series and from the same seed."""

from __future__ import annotations

import math

from fei_sklearn import FEIEmbedder
from gpu.panels import sines
from gpu.setting import Setting

N_EPOCHS = 6


def fit_float32(setting: Setting) -> str:
    """Fit in float32."""
    return _fit(setting, "32-true")


def fit_bfloat16(setting: Setting) -> str:
    """Fit in mixed bfloat16."""
    return _fit(setting, "bf16-mixed")


def fit_float16(setting: Setting) -> str:
    """Fit in mixed float16, whose loss is scaled."""
    setting.require_cuda("torch has no float16 training on the CPU")
    return _fit(setting, "16-mixed")


def _fit(setting: Setting, precision: str) -> str:
    """Return the first and the last loss of a fit, or raise if it does not fall."""
    X, _ = sines(128)
    embedder = FEIEmbedder(
        64,
        max_epochs=N_EPOCHS,
        min_epoch_steps=10,
        batch_size=32,
        learning_rate=1e-3,
        device=setting.device,
        precision=precision,
        random_state=0,
    )
    embedder.fit(X)
    losses = [record["train_loss"] for record in embedder.history_]
    text = f"Training loss of the first epoch: {losses[0]:.4f}; of the last: {losses[-1]:.4f}."
    if not all(math.isfinite(loss) for loss in losses) or losses[-1] >= losses[0]:
        raise ArithmeticError(f"The loss does not fall. {text}")
    return text
