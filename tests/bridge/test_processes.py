"""Processes that run a job together: which of them is blamed, and that none is left."""

from __future__ import annotations

import os
import subprocess
import threading
import time

import pytest

from fei_sklearn._bridge.processes import run_on_ranks


def test_a_process_that_ends_early_is_named(jobs):
    with pytest.raises(RuntimeError, match=r"Process \d of the 2 .*ended with code 3.*remedy"):
        run_on_ranks(_leave, 2, n_threads=1, watcher=None, remedy="remedy")


def _leave(watcher):
    os._exit(3)


# Nothing is left


@pytest.mark.parametrize("error", [KeyboardInterrupt(), BlockingIOError(11, "no process")])
def test_a_start_that_fails_leaves_nothing(error, jobs, monkeypatch):
    popen = subprocess.Popen
    started = []

    def start_one(*arguments, **named):
        if started:
            raise error
        started.append(popen(*arguments, **named))
        return started[0]

    before = threading.enumerate()
    monkeypatch.setattr(subprocess, "Popen", start_one)
    with pytest.raises(type(error)):
        run_on_ranks(_wait, 2, n_threads=1, watcher=None, remedy="")
    assert started[0].returncode is not None
    assert threading.enumerate() == before


def _wait(watcher):
    time.sleep(600)


def test_no_thread_is_left(jobs):
    before = threading.enumerate()
    assert run_on_ranks(_seven, 2, n_threads=1, watcher=None, remedy="") == 7
    assert threading.enumerate() == before


def _seven(watcher):
    return 7


# A process that hangs


def test_a_process_that_hangs_is_named(jobs):
    message = r"Process 1 of the 2 .*did not answer the others.*suspended.*: remedy"
    with pytest.raises(RuntimeError, match=message):
        run_on_ranks(_hang, 2, n_threads=1, watcher=None, remedy="remedy")


def _hang(watcher):
    if os.environ["RANK"] == "1":
        time.sleep(600)
    raise RuntimeError("Timed out waiting 1000ms for recv operation to complete")
