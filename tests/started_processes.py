"""Processes that were started for a job, found by the folder of the job."""

from __future__ import annotations

from pathlib import Path


def processes_of(folder: Path) -> list[int]:
    """Return the ids of the processes whose command names a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in command:
            found.append(int(entry.name))
    return found
