"""Times that the host waits for the device, counted by torch."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable

import torch
from training_step import step_on

from fei_sklearn import FEIEmbedder
from fei_sklearn.data import Panel
from fei_sklearn.inference import TILE_ROWS
from fei_sklearn.masking import MASK_KINDS
from gpu.panels import padded_panel, sines
from gpu.report import table
from gpu.setting import Setting

N_STEPS = 5

#: Waits per step that a precision needs: the scaler of float16 reads whether a gradient overflowed.
ALLOWED = {"32-true": 0, "bf16-mixed": 0, "16-mixed": 1}

#: Words of torch's warning. Setting the mode gives another, that not all waits are found.
WARNING = "called a synchronizing"

REASON = "torch counts waits for CUDA alone"


def count_in_steps(setting: Setting) -> str:
    """Return a table of waits per step, or raise if there are more than a precision needs."""
    setting.require_cuda(REASON)
    X, _ = sines(64)
    panels = {"equal": Panel(X), "unequal": padded_panel(X)}
    rows = []
    excesses = []
    for precision, kind, lengths in itertools.product(ALLOWED, MASK_KINDS, panels):
        name = f"{precision}, {kind}, {lengths}"
        step = step_on(panels[lengths], "tiny", 16, setting.device, precision, kind)
        step()  # makes the moments of AdamW
        found = waits_of(step, N_STEPS)
        n_per_step = len(found) / N_STEPS
        rows.append([name, f"{n_per_step:.1f}"])
        if n_per_step > ALLOWED[precision]:
            excesses.append(f"{name}: in {found[0]}")
    text = table(["precision, masks, lengths", "waits per step"], rows)
    if excesses:
        raise RuntimeError(f"The host waits in a step. {'; '.join(excesses)}\n\n{text}")
    return text


def count_in_transform(setting: Setting) -> str:
    """Return the waits of transform, or raise if there is more than one per tile."""
    setting.require_cuda(REASON)
    n_rows = TILE_ROWS["cuda"]
    X, _ = sines(8 * n_rows)
    embedder = FEIEmbedder("tiny", max_epochs=0, random_state=0, device=setting.device).fit(X)
    embedder.transform(X)  # the encoder stays on the device
    of_four = waits_of(lambda: embedder.transform(X[: 4 * n_rows]), 1)
    of_eight = waits_of(lambda: embedder.transform(X), 1)
    text = f"{len(of_four)} waits for 4 tiles of series, and {len(of_eight)} for 8."
    if len(of_eight) - len(of_four) > 4:
        raise RuntimeError(f"{text} The last is in {of_eight[-1]}.")
    return f"{text} Copying the features of a tile to the host is one wait."


def waits_of(work: Callable[[], object], n_times: int) -> list[str]:
    """Return the places where torch warns of waits while some work is done `n_times`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            for _ in range(n_times):
                work()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return [
        f"{warning.filename}:{warning.lineno}"
        for warning in caught
        if WARNING in str(warning.message)
    ]
