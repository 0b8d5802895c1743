"""Ranks: how they report failures, and how they end with the calling process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from quick import python_path
from started_processes import processes_of

from fei_sklearn._bridge.processes import run_on_ranks


def test_an_exception_comes_with_the_place_where_it_was_raised(jobs):
    with pytest.raises(KeyError, match="no such series") as error:
        run_on_ranks(_raise, 1, n_threads=1, watcher=None, remedy="")
    assert "in _raise" in error.value.__notes__[0]


def _raise(watcher):
    raise KeyError("no such series")


def test_an_exception_that_cannot_be_sent_is_described(jobs):
    with pytest.raises(RuntimeError, match=r"^UnsendableError: it holds a function$"):
        run_on_ranks(_raise_unsendable, 1, n_threads=1, watcher=None, remedy="")


def _raise_unsendable(watcher):
    class UnsendableError(Exception):
        """Exception of a class that no other process can import."""

    raise UnsendableError("it holds a function")


def test_what_a_job_prints_is_no_message(jobs):
    assert run_on_ranks(_print, 1, n_threads=1, watcher=None, remedy="") == "done"


def _print(watcher):
    print("printed")
    os.write(1, b"written")
    return "done"


CALLER = """
import sys, time
import numpy as np
from fei_sklearn._bridge.processes import run_on_ranks

panel = np.ones((2**18, 2))

def job(watcher):
    open(f"{sys.argv[1]}.started", "w")
    time.sleep(600 + 0 * panel[0, 0])

run_on_ranks(job, 2, n_threads=1, watcher=None, remedy="")
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGKILL"])
def test_a_caller_that_is_killed_leaves_nothing(name, tmp_path):
    environment = os.environ | {"PYTHONPATH": python_path(), "TMPDIR": str(tmp_path)}
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER],
        env=environment,
        start_new_session=True,
    )
    assert holds_in_time(lambda: list(tmp_path.glob("*/job.started")))
    os.killpg(caller.pid, signal.Signals[name])  # as a shell or a scheduler does
    caller.wait()
    assert holds_in_time(lambda: processes_of(tmp_path) == [])
    assert list(tmp_path.iterdir()) == []


def holds_in_time(condition):
    """Return whether a condition comes true."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False
