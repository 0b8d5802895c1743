"""The tests that need a CUDA device."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec

from gpu.report import ROOT
from gpu.setting import NotOnThisDeviceError, Setting

MARK = "pytest.mark.cuda"

#: Exit status of pytest where no test ran.
NO_TESTS = 5


def run_marked(setting: Setting) -> str:
    """Run the tests marked cuda, and return pytest's summary, or raise if one failed."""
    if find_spec("pytest") is None:
        raise NotOnThisDeviceError("pytest is not installed, so no test ran.")
    tests = ROOT / "tests"
    files = [path for path in sorted(tests.rglob("test_*.py")) if MARK in path.read_text("utf-8")]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "cuda", "-p", "no:cacheprovider"]
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join([environment.get("PYTHONPATH", ""), str(tests)])
    done = subprocess.run(
        [*command, "--continue-on-collection-errors", *map(str, files)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    lines = (done.stdout + done.stderr).splitlines()
    shown = "\n".join(["```text", *lines[-40:], "```"])
    if done.returncode not in (0, NO_TESTS):
        raise RuntimeError(f"pytest ended with status {done.returncode}.\n\n{shown}")
    if not re.search(r"\d+ passed", done.stdout):
        raise NotOnThisDeviceError(f"No test ran.\n\n{shown}")
    return shown
