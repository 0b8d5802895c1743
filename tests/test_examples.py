"""The examples run in a folder of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = sorted(path.name for path in EXAMPLES.glob("plot_*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_example_runs_and_prints_figures(name, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(EXAMPLES / name)],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert any(character.isdigit() for character in done.stdout), "no figure was printed"
    assert not list(tmp_path.iterdir()), "an example left files behind"
