"""`python -m fei_sklearn`: the command."""

from __future__ import annotations

import subprocess
import sys


def test_the_module_is_the_command():
    command = [sys.executable, "-m", "fei_sklearn"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: fei-sklearn")
