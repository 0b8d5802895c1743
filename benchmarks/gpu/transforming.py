"""Time of transform on the device and on the CPU."""

from __future__ import annotations

import time

import numpy as np

from fei_sklearn import FEIEmbedder
from gpu.estimators import TOLERANCE
from gpu.panels import difference, sines
from gpu.report import table
from gpu.setting import Setting

N_TIMEPOINTS = 512
N_ON_CPU = 128

ENCODERS = ("small", "dilated")


def time_transform(setting: Setting) -> str:
    """Return a table of series per second, or raise if embeddings differ."""
    n_on_device = N_ON_CPU if setting.is_rehearsal else 64 * N_ON_CPU
    X, _ = sines(n_on_device, N_TIMEPOINTS)
    rows = []
    for encoder in ENCODERS:
        embedder = FEIEmbedder(encoder, max_epochs=0, random_state=0, device="cpu")
        embedder.fit(X[:N_ON_CPU])
        on_cpu, cpu_rate = _timed(embedder, X[:N_ON_CPU])
        embedder.set_params(device=setting.device)
        on_device, device_rate = _timed(embedder, X)
        apart = difference(on_device[:N_ON_CPU], on_cpu)
        if apart > TOLERANCE:
            raise ArithmeticError(f"{encoder}: embeddings differ by {apart:.1e} deviations.")
        ratio = f"{device_rate / cpu_rate:.1f}"
        rows.append([encoder, f"{device_rate:,.0f}", f"{cpu_rate:,.0f}", ratio, f"{apart:.1e}"])
    head = ["encoder", "series/s here", "series/s on the CPU", "ratio", "difference"]
    title = f"Series of {N_TIMEPOINTS} points, the default readout."
    return f"{title}\n\n{table(head, rows)}"


def _timed(embedder: FEIEmbedder, X: np.ndarray) -> tuple[np.ndarray, float]:
    """Return embeddings, and series per second of the better of two runs after a first one."""
    embedder.transform(X)
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        embeddings = embedder.transform(X)
        seconds.append(time.perf_counter() - started)
    return embeddings, len(X) / min(seconds)
