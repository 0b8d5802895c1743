"""Share of the device's measured rate of matrix products that a training step reaches."""

from __future__ import annotations

from functools import partial

import torch
from authors import seconds_on
from timing import medians_in_turn
from torch.utils.flop_counter import FlopCounterMode
from training_step import our_step

from gpu.report import table
from gpu.setting import Setting
from gpu.steps import panel_of_noise, seconds_per_step

#: Type of the matrix products of each precision.
DTYPES = {
    "32-true": torch.float32,
    "bf16-mixed": torch.bfloat16,
    "16-mixed": torch.float16,
}


def measure_shares(setting: Setting) -> str:
    """Return tables of matrix rates, and of the shares that steps reach."""
    # convolutions take TF32 by default, so the rate of matrix products that is fair is TF32's
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    rates = {}
    for precision in setting.precisions:
        rates[precision] = _matrix_rate(setting, DTYPES[precision])
    rows = []
    for encoder in setting.encoders:
        for precision, rate in rates.items():
            operations, seconds = _step(setting, encoder, precision)
            reached = operations / seconds
            share = f"{100 * reached / rate:.1f} %"
            rows.append([f"{encoder}, {precision}", f"{reached / 1e12:.3f}", share])
    rate_rows = [[precision, f"{rate / 1e12:.3f}"] for precision, rate in rates.items()]
    of_products = table(["precision", "matrix products (TFLOP/s)"], rate_rows)
    of_steps = table(["encoder, precision", "step (TFLOP/s)", "share"], rows)
    title = f"Batches of {setting.batch_size} series of {setting.n_timepoints} points."
    return f"{of_products}\n\n{title}\n\n{of_steps}"


def _matrix_rate(setting: Setting, dtype: torch.dtype) -> float:
    """Return the operations per second of a large matrix product."""
    size = 1024 if setting.is_rehearsal else 8192
    left = torch.randn((size, size), dtype=dtype, device=setting.device)
    right = torch.randn((size, size), dtype=dtype, device=setting.device)
    product = partial(torch.mm, left, right)
    product()  # warms up
    seconds = partial(seconds_on, setting.device)
    medians = medians_in_turn({"product": product}, 7, seconds)
    return 2 * size**3 / medians["product"]


def _step(setting: Setting, encoder: str, precision: str) -> tuple[float, float]:
    """Return the operations and the seconds of a step."""
    x = panel_of_noise(setting)
    step = our_step(encoder, x, setting.batch_size, setting.device, precision)
    with FlopCounterMode(display=False) as counter:
        step()
    medians = seconds_per_step(setting, {"step": step})
    return counter.get_total_flops(), medians["step"]
