"""States of a run on disk, from which it goes on after its process was killed.

A run has a folder of its own, named by the fingerprint of its data and of everything else that
decides its outcome, so that no run ever goes on from the state of another. In it are the last
state and the one before. A state is complete on disk before it takes the place of an older one,
so at any moment there is one to be read. It is data, never code: tensors, and JSON for the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

#: Enters the fingerprint, so that a state is only read by the version that wrote it.
RUN_FORMAT = 1
STATE, PREVIOUS = "state.safetensors", "previous.safetensors"
#: Least time between two states; and the largest share of a run's time that writing may take.
EVERY_SECONDS = 1.0
LARGEST_SHARE = 0.05
#: Series that are hashed at once.
CHUNK_ROWS = 1024


@dataclass
class RunState:
    """What a run needs to go on.

    Attributes
    ----------
    plain : dict
        What JSON can hold.
    tensors : dict of str to Tensor
        On any device.
    """

    plain: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def section(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose name begins with `prefix` and a dot, without these."""
        start = f"{prefix}."
        return {k.removeprefix(start): v for k, v in self.tensors.items() if k.startswith(start)}

    def add(self, prefix: str, tensors: Mapping[str, Tensor]) -> None:
        """Take tensors in, their names after `prefix` and a dot."""
        self.tensors.update({f"{prefix}.{name}": tensor for name, tensor in tensors.items()})


class RunFolder:
    """The folder of one run.

    Parameters
    ----------
    directory : path-like
        Where runs have their folders.
    fingerprint : str
        Name of the run's own.
    global_random_state : bool, default=False
        Whether torch's global random state is the run's own, and so a part of its state.

    Raises
    ------
    ValueError
        If the folder cannot be made or written to.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        fingerprint: str,
        *,
        global_random_state: bool = False,
    ) -> None:
        self.folder = Path(directory) / fingerprint
        self.global_random_state = global_random_state
        self.written, self.interval = time.monotonic(), EVERY_SECONDS
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise ValueError(self._cannot_write(error)) from error

    def due(self) -> bool:
        """Whether it is time for the next state."""
        return time.monotonic() - self.written >= self.interval

    def write(self, state: RunState) -> None:
        """Put a state in the place of the last, which becomes the one before.

        Raises
        ------
        ValueError
            If it cannot be written, as on a full disk. The states on disk stay as they are.
        """
        started = time.monotonic()
        try:
            self._swap_in(_encode(state))
        except OSError as error:
            raise ValueError(self._cannot_write(error)) from error
        self.written = time.monotonic()
        self.interval = max(EVERY_SECONDS, (self.written - started) / LARGEST_SHARE)

    def finish(self, state: RunState) -> None:
        """Put the outcome of the run in the place of all its states."""
        self.write(state)
        with suppress(FileNotFoundError):
            (self.folder / PREVIOUS).unlink()

    def read(self) -> RunState | None:
        """The last state that is undamaged, or None before the first.

        Raises
        ------
        ValueError
            If there are states, but none is undamaged.
        """
        paths = [self.folder / name for name in (STATE, PREVIOUS)]
        contents = [path.read_bytes() for path in paths if path.is_file()]
        states = (_decode(content) for content in contents)
        state = next((state for state in states if state is not None), None)
        if contents and state is None:
            raise ValueError(
                f"The checkpoint in {str(self.folder)!r} is damaged: remove that folder to train "
                "from the start."
            )
        return state

    def _swap_in(self, content: bytes) -> None:
        handle, name = tempfile.mkstemp(dir=self.folder, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileNotFoundError):  # there is none before the first
                os.replace(self.folder / STATE, self.folder / PREVIOUS)
            os.replace(name, self.folder / STATE)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(name)
            raise
        _sync_folder(self.folder)
        self._sweep()

    def _sweep(self) -> None:
        """Remove what processes that were killed in writing have left."""
        for path in self.folder.glob("*.part"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > 3600:  # younger ones may be another's
                    path.unlink()

    def _cannot_write(self, error: OSError) -> str:
        return (
            f"The checkpoint could not be written to {str(self.folder)!r} "
            f"({error.strerror or error}): give a checkpoint_dir that can be written, with room "
            "for a few times the model's size."
        )


def run_fingerprint(
    objective: nn.Module, panels: Iterable[Any], settings: Mapping[str, Any]
) -> str:
    """Name of a run: equal only where data, initial weights and settings are.

    Parameters
    ----------
    objective : torch.nn.Module
        With its initial weights.
    panels : iterable of Panel
        Training and validation series, in this order.
    settings : mapping
        What else decides the outcome; JSON, or objects whose `repr` says all.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    digest = hashlib.blake2b(digest_size=16)
    about = [RUN_FORMAT, type(objective).__qualname__, repr(objective), dict(settings)]
    digest.update(json.dumps(about, sort_keys=True, default=repr).encode())
    for name, tensor in objective.state_dict().items():
        _hash_array(digest, name, tensor.detach().cpu().numpy())
    for i, panel in enumerate(panels):
        for start in range(0, len(panel), CHUNK_ROWS):
            rows = np.arange(start, min(start + CHUNK_ROWS, len(panel)))
            chunk = panel.take(rows)
            for array in (chunk.values, chunk.lengths, chunk.targets):
                _hash_array(digest, f"panel {i}", array)
    return digest.hexdigest()


def _hash_array(digest: Any, name: str, array: np.ndarray | None) -> None:
    about = None if array is None else (array.dtype.str, array.shape)
    digest.update(repr((name, about)).encode())
    if array is not None:
        digest.update(np.ascontiguousarray(array).data)


def _encode(state: RunState) -> bytes:
    from safetensors.torch import save

    # copies, because tensors that share their memory are refused
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in state.tensors.items()}
    text = json.dumps(state.plain)
    return save(tensors, {"state": text, "checksum": _checksum(text, tensors)})


def _decode(content: bytes) -> RunState | None:
    """The state, or None if it is damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(content)
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])["__metadata__"]
        if header["checksum"] != _checksum(header["state"], tensors):
            return None
        return RunState(json.loads(header["state"]), tensors)
    except (SafetensorError, ValueError, KeyError, TypeError):
        return None


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    checksum = zlib.crc32(text.encode())
    for name in sorted(tensors):
        checksum = zlib.crc32(name.encode(), checksum)
        checksum = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, checksum)
    return f"{checksum:08x}"


def _sync_folder(folder: Path) -> None:
    """Make renames last; on systems that cannot open a folder they last without."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
