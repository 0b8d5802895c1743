"""Files that are whole or not there at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Write a file that takes its place only when it is complete.

    Parameters
    ----------
    path : path-like
        The file; an older one stays until the new one is complete, and if that fails.

    Yields
    ------
    binary file
        To write to.

    Raises
    ------
    ValueError
        If the folder is missing or the file cannot be written.
    """
    path = Path(path)
    try:
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise _refusal(path, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(scratch, 0o666 & ~_umask())
        os.replace(scratch, path)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(scratch)
        if isinstance(error, OSError):
            raise _refusal(path, error) from error
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _refusal(path: Path, error: OSError) -> ValueError:
    return ValueError(
        f"{str(path)!r} could not be written ({error.strerror or error}): give a file in a folder "
        "that exists and can be written, with room on its disk."
    )
