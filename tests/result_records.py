"""Records as `evaluate` returns them, without an evaluation."""

from __future__ import annotations

from typing import Any

from fei_sklearn.evaluation.results import RESULTS_FORMAT

METRICS = ("accuracy", "precision", "recall", "f1")


def record(
    set_name: str = "EPI",
    accuracy: float = 0.9,
    seed: int = 0,
    model: str = "mine",
    **changes: Any,
) -> dict[str, Any]:
    """Return the record of a classification whose metrics are all equal."""
    values = {
        "format": RESULTS_FORMAT,
        "model": model,
        "fingerprint": "a" * 16,
        "set": set_name,
        "protocol": "linear",
        "seed": seed,
        "study": None,
        "variant": None,
        "settings": {"standardise": "time-index", "paper_protocol": True},
        "task": "classification",
        "metrics": dict.fromkeys(METRICS, accuracy),
    }
    return values | changes


def regression_record(mse: float, mae: float, **changes: Any) -> dict[str, Any]:
    """Return the record of a regression."""
    metrics = {"mse": mse, "mae": mae}
    return record("FD001", task="regression", metrics=metrics, **changes)
