"""Embedders that fit in a moment, panels for them, and shared assertions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fei_sklearn import FEIEmbedder

if TYPE_CHECKING:
    from torch import nn

#: Configurations that differ in the fitted attributes and in the embeddings.
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "default": {"pooling": "auto"},
    "all-stages": {"layers": "all", "pooling": ("mean", "max", "std")},
    "mixed": {"channels": "mix"},
    "series-scaling": {"scaling": "series"},
    "front": {"encoder": "dilated", "pooling": "auto"},
}


def quick(**params: Any) -> FEIEmbedder:
    """Return a narrow embedder that trains for two epochs, with the paper's readout."""
    steps = {"max_epochs": 2, "min_epoch_steps": 1, "batch_size": 64}
    return FEIEmbedder(**({"encoder": 16, "pooling": "mean", "random_state": 0} | steps | params))


def dilated(n_channels: int) -> nn.Module:
    """Return a user's own encoder."""
    from torch import nn

    convolution = nn.Conv1d(n_channels, 12, 3, padding=2, dilation=2)
    return nn.Sequential(convolution, nn.BatchNorm1d(12), nn.GELU())


def walks(n: int = 20, n_channels: int = 2, n_timepoints: int = 30, seed: int = 0) -> np.ndarray:
    """Return random walks of shape (n, n_channels, n_timepoints)."""
    steps = np.random.default_rng(seed).normal(size=(n, n_channels, n_timepoints))
    return steps.cumsum(axis=-1)


def oscillations(n: int = 24, n_timepoints: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy sines of two channels, and their two different frequencies."""
    generator = np.random.default_rng(0)
    frequency = np.resize([2.0, 8.0], n)
    phase = generator.uniform(0, 1, size=(n, 2, 1))
    time = np.arange(n_timepoints) / n_timepoints
    series = np.sin(2 * np.pi * frequency[:, None, None] * time + phase)
    return series + 0.1 * generator.normal(size=series.shape), frequency


def assert_close(actual: Any, expected: Any) -> None:
    """Assert that features are equal up to float32's rounding in an encoder.

    Folded batch norm and padding round differently than the plain encoder, by some millionths of
    the largest feature, whatever the size of the others.
    """
    largest = float(np.abs(np.asarray(expected)).max())
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-5 * largest)


def run_python(code: str, *arguments: object, **environment: str) -> str:
    """Run code in a new interpreter, which must succeed, and return all that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": python_path()} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def python_path() -> str:
    """Return a PYTHONPATH that includes this folder, for other interpreters."""
    here = str(Path(__file__).parent)
    inherited = os.environ.get("PYTHONPATH")
    if not inherited:
        return here
    return os.pathsep.join([here, inherited])
