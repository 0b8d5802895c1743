"""Temporary folder of a job that several processes share."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from fei_sklearn._files import LEFTOVER_SECONDS

#: Names of the temporary folder of a job, and of the file that is locked in it.
FOLDER_PREFIX = "fei-sklearn-job-"
LOCK = "lock"


@contextmanager
def job_folder() -> Iterator[Path]:
    """Make a temporary folder for a job, locked while its process lives, and remove it afterwards.

    Folders of processes that were killed together with all of their ranks are removed as well.
    """
    remove_abandoned(Path(tempfile.gettempdir()))
    with (
        tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX, ignore_cleanup_errors=True) as name,
        open(Path(name) / LOCK, "wb") as lock,
    ):
        _take(lock)
        yield Path(name)


def remove_abandoned(parent: Path) -> None:
    """Remove the folders of jobs whose processes have ended without removing them."""
    if not hasattr(os, "getuid"):  # as on Windows
        return
    for folder in parent.glob(f"{FOLDER_PREFIX}*"):
        with suppress(OSError):
            if _is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    status = folder.lstat()
    # a young folder may not be locked yet
    is_young = status.st_mtime > time.time() - LEFTOVER_SECONDS
    if is_young or status.st_uid != os.getuid():
        return False
    with open(folder / LOCK, "rb") as lock:
        return _take(lock)


def _take(lock: IO[bytes]) -> bool:
    """Return whether a lock was free, and take it; it is free again when its process ends."""
    try:
        import fcntl
    except ImportError:  # as on Windows
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
