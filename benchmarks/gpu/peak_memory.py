"""Memory of the device at its peak in a training step."""

from __future__ import annotations

import torch
from training_step import our_step

from gpu.report import table
from gpu.setting import Setting
from gpu.steps import panel_of_noise


def measure_peaks(setting: Setting) -> str:
    """Return a table of peaks in MiB."""
    setting.require_cuda("torch counts the memory of accelerators alone")
    x = panel_of_noise(setting)
    rows = []
    for encoder in setting.encoders:
        for precision in setting.precisions:
            torch.cuda.empty_cache()
            step = our_step(encoder, x, setting.batch_size, setting.device, precision)
            step()
            torch.cuda.reset_peak_memory_stats()
            step()
            peak = torch.cuda.max_memory_allocated() / 2**20
            rows.append([f"{encoder}, {precision}", f"{peak:,.0f}"])
    title = f"Batches of {setting.batch_size} series of {setting.n_timepoints} points."
    return f"{title}\n\n{table(['encoder, precision', 'peak (MiB)'], rows)}"
