"""Times of several sides that take turns, so that a busy machine is busy for all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

Work = Callable[[], object]


def cpu_seconds(work: Work) -> float:
    """Return the CPU time of the process, which does not count its waiting for a core."""
    started = time.process_time()
    work()
    return time.process_time() - started


def medians_in_turn(
    sides: Mapping[str, Work], rounds: int, seconds: Callable[[Work], float] = cpu_seconds
) -> dict[str, float]:
    """Return the median seconds of each side over rounds in which every side works once."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, work in sides.items():
            times[name].append(seconds(work))
    return {name: statistics.median(taken) for name, taken in times.items()}
