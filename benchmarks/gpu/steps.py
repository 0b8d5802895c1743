"""Time of training steps, in each precision, and beside the authors' code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from authors import authors_step, seconds_on
from timing import medians_in_turn
from training_step import Step, our_step

from fei_sklearn.encoder.resnet import ENCODER_WIDTHS
from gpu.report import table
from gpu.setting import Setting

AUTHORS = "authors"


def time_steps(setting: Setting) -> str:
    """Return a table of milliseconds per step."""
    rows = []
    failures = []
    for encoder in setting.encoders:
        medians = _medians(setting, encoder, failures)
        for name, seconds in medians.items():
            ratio = ""
            if AUTHORS in medians:
                ratio = f"{medians[AUTHORS] / seconds:.2f}"
            rows.append([f"{encoder}, {name}", f"{1000 * seconds:.2f}", ratio])
    head = ["encoder, precision", "ms per step", "times the authors' speed"]
    title = f"Batches of {setting.batch_size} series of {setting.n_timepoints} points."
    text = f"{title}\n\n{table(head, rows)}"
    if failures:
        listed = "\n".join(f"- {failure}" for failure in failures)
        raise RuntimeError(f"Some steps could not be timed.\n\n{listed}\n\n{text}")
    return text


def _medians(setting: Setting, encoder: str, failures: list[str]) -> dict[str, float]:
    """Return the median seconds per step of each side, and add those that fail to a list."""
    arguments = (encoder, panel_of_noise(setting), setting.batch_size, setting.device)
    builders: dict[str, Callable[[], Step]] = {}
    if setting.authors and encoder in ENCODER_WIDTHS:
        builders[AUTHORS] = partial(authors_step, setting.authors, *arguments)
    for precision in setting.precisions:
        builders[precision] = partial(our_step, *arguments, precision)
    sides = {}
    for name, build in builders.items():
        try:
            step = build()
            step()  # warms up
        except Exception as error:
            failures.append(f"{encoder}, {name}: {type(error).__name__}: {error}")
            continue
        sides[name] = step
    return seconds_per_step(setting, sides)


def seconds_per_step(setting: Setting, sides: Mapping[str, Step]) -> dict[str, float]:
    """Return the median seconds per step of each side; the device is waited for once per round."""
    repeated = {name: partial(_repeat, step, setting.n_steps) for name, step in sides.items()}
    seconds = partial(seconds_on, setting.device)
    medians = medians_in_turn(repeated, setting.n_rounds, seconds)
    return {name: median / setting.n_steps for name, median in medians.items()}


def panel_of_noise(setting: Setting) -> np.ndarray:
    """Return series of noise for the batches of one round."""
    n_series = setting.batch_size * max(setting.n_steps, 2)
    shape = (n_series, 1, setting.n_timepoints)
    noise = np.random.default_rng(0).normal(size=shape)
    return noise.astype(np.float32)


def _repeat(step: Step, n_steps: int) -> None:
    for _ in range(n_steps):
        step()
