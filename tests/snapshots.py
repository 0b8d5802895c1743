"""Snapshots of an estimator and its surroundings, for tests that a failed call leaves no trace."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch


@contextmanager
def nothing_changes(estimator: Any) -> Iterator[None]:
    """Assert that the estimator, random states, threads, environment and files stay the same."""
    before = snapshot(estimator)
    yield
    assert snapshot(estimator) == before


def snapshot(estimator: Any) -> dict[str, Any]:
    """Return comparable values of everything that a call could change."""
    return {
        "attributes": {name: id(value) for name, value in vars(estimator).items()},
        "their content": joblib.hash(vars(estimator)),
        "random": random.getstate(),
        "numpy": joblib.hash(np.random.get_state()),
        "torch": bytes(torch.get_rng_state().numpy()),
        "threads": torch.get_num_threads(),
        "environment": dict(os.environ),
        "folder": (Path.cwd(), sorted(Path.cwd().rglob("*"))),
    }
