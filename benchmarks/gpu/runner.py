"""Parts in processes of their own: what one of them does or fails to do leaves the others alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from gpu.parts import Part
from gpu.report import FAILED, Outcome

#: Modules without which nothing runs, and the names of their packages.
REQUIRED = {
    "cloudpickle": "cloudpickle",
    "joblib": "joblib",
    "lightning_fabric": "lightning-fabric",
    "numba": "numba",
    "numpy": "numpy",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "torch": "torch",
}

MISSING = "{} must be installed for {}: choose another Python, as in make gpu PYTHON=python3.12."

#: Last characters of a failed part's output that the report quotes.
QUOTED = 4000


def missing_packages() -> list[str]:
    """Return the packages that this Python lacks."""
    return [package for module, package in REQUIRED.items() if find_spec(module) is None]


def run_parts(parts: Iterable[Part], arguments: Sequence[str], seconds: float) -> Iterator[Outcome]:
    """Run parts one after the other, and yield their outcomes.

    Parameters
    ----------
    parts : iterable of Part
        Parts to run.
    arguments : sequence of str
        Device and checkout of the authors' repository.
    seconds : float
        Time of all parts together. The part that is running then is stopped, and the rest left out.
    """
    ends = time.monotonic() + seconds
    for part in parts:
        left = ends - time.monotonic()
        if left <= 0:
            text = f"Left out: the parts before it took all of {seconds:.0f} s."
            yield Outcome(part.title, FAILED, text, 0.0)
            continue
        outcome = run_part(part, arguments, min(part.seconds, left))
        yield outcome
        if part.is_needed and outcome.verdict == FAILED:
            return


def run_part(part: Part, arguments: Sequence[str], seconds: float) -> Outcome:
    """Run a part in a process, and stop it with all its processes when its time is up."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        output = Path(folder) / "output.txt"
        command = [sys.executable, "-m", "gpu.child", part.work, *arguments, str(result)]
        with output.open("wb") as stream:
            process = subprocess.Popen(
                command,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            timed_out = not _ended_within(process, seconds)
        taken = time.monotonic() - started
        done = _result(result, process.returncode)
        printed = output.read_text(encoding="utf-8", errors="replace")[-QUOTED:].strip()
    if timed_out:
        done = {"verdict": FAILED, "text": f"The part was stopped after {seconds:.0f} s."}
    text = done["text"]
    if done["verdict"] == FAILED and printed:
        text = f"{text}\n\nThe process printed:\n\n```text\n{printed}\n```"
    return Outcome(part.title, done["verdict"], text, taken)


def _result(path: Path, status: int) -> dict[str, str]:
    """Return the verdict and the text that a process wrote, or say that it wrote none."""
    if path.exists():
        result: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return result
    text = f"The process ended with status {status} and without a result."
    return {"verdict": FAILED, "text": text}


def _ended_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for a process and return True, or end its session and return False."""
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
