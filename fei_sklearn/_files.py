"""The one writer of whole files: a file is complete and on disk, or it is as it was before."""

from __future__ import annotations

import glob
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

#: Suffix of temporary files, which a process that is killed leaves behind.
TEMPORARY_SUFFIX = ".part"

#: Age from which a temporary file is a leftover; a younger one may belong to a running process.
LEFTOVER_SECONDS = 3600

#: What to do when a file cannot be written.
REMEDY = "give a file in a folder that exists and can be written, with room on its disk."


def refuse_empty(
    path: object,
    name: str,
) -> None:
    """Raise for the empty text, which would be the working directory.

    Parameters
    ----------
    path : object
        Path, or name of something.
    name : str
        Name of the argument, for the error message.

    Raises
    ------
    ValueError
        If `path` is "".
    """
    if path == "":
        raise ValueError(f"{name} is empty: give a path; '.' is the working directory.")


@contextmanager
def whole_file(
    path: str | os.PathLike[str],
    *,
    remedy: str = REMEDY,
) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes its place only when it is complete.

    Like :func:`replaced_file`, with an error message for users.

    Parameters
    ----------
    path : path-like
        Path of the file.
    remedy : str
        End of the error message: what to do when the file cannot be written.

    Yields
    ------
    binary file
        File to write to.

    Raises
    ------
    ValueError
        If the folder is missing or the file cannot be written.
    """
    path = Path(path)
    try:
        with replaced_file(path) as file:
            yield file
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{str(path)!r} could not be written ({reason}): {remedy}") from error


@contextmanager
def replaced_file(
    path: Path,
    *,
    previous: Path | None = None,
) -> Iterator[IO[bytes]]:
    """Open a file for writing that replaces `path` only when it is complete.

    The content goes to a temporary file in the same folder. The temporary file is flushed to disk
    and renamed, and the folder is flushed, so that after a crash the path holds either the old
    content or the new content. Temporary files that killed processes left for the same path are
    removed.

    Parameters
    ----------
    path : Path
        Path of the file. An older file stays until the new one is complete, and if writing fails.
    previous : Path, default=None
        Path in the same folder to which the older file is renamed. After a crash or an error
        between the two renames the older content is there. None discards the older file.

    Yields
    ------
    binary file
        File to write to.

    Raises
    ------
    OSError
        If the folder is missing or the file cannot be written.
    """
    descriptor, temporary = tempfile.mkstemp(
        dir=path.parent, prefix=_prefix(path.name), suffix=TEMPORARY_SUFFIX
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        if previous is not None:
            with suppress(FileNotFoundError):
                os.replace(path, previous)
        os.replace(temporary, path)
        sync_folder(path.parent)
        remove_leftovers(path.parent, path.name)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def sync_folder(folder: Path) -> None:
    """Flush a folder to disk, so that renames in it survive a crash.

    Systems that cannot open a folder make renames durable without it.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path, name: str) -> None:
    """Remove temporary files that killed processes have left in a folder for a file's name."""
    newest = time.time() - LEFTOVER_SECONDS
    prefix = glob.escape(_prefix(name))
    for path in folder.glob(f"{prefix}*{TEMPORARY_SUFFIX}"):
        with suppress(OSError):
            if path.stat().st_mtime < newest:
                path.unlink()


def _prefix(name: str) -> str:
    return f".{name}."


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
