"""States of a run on disk, from which the run is resumed after its process was killed.

Each run has a folder, named by the fingerprint of its data and of everything else that determines
its outcome. Each state holds the fingerprint as well, so that no run is resumed from the state of
another. The folder holds the last state and the one before. A state is complete on disk before it
replaces an older one, so at any moment one can be read. States are data and never code: tensors,
and JSON for the rest.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fei_sklearn._files import replaced_file

#: Names of the last state and of the one before.
STATE = "state.safetensors"
PREVIOUS = "previous.safetensors"

#: Least time between two states.
EVERY_SECONDS = 1.0

#: Largest share of a run's time that writing states may take.
LARGEST_SHARE = 0.05


@dataclass
class RunState:
    """State from which a run can be resumed.

    Attributes
    ----------
    plain : dict
        Values in JSON's types.
    tensors : dict of str to Tensor
        Tensors on any device.
    """

    plain: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def section(self, name: str) -> dict[str, Tensor]:
        """Return the tensors that were added under the name of a section."""
        prefix = f"{name}."
        return {
            key.removeprefix(prefix): tensor
            for key, tensor in self.tensors.items()
            if key.startswith(prefix)
        }

    def add(
        self,
        name: str,
        tensors: Mapping[str, Tensor],
    ) -> None:
        """Add tensors under the name of a section."""
        for key, tensor in tensors.items():
            self.tensors[f"{name}.{key}"] = tensor


class RunFolder:
    """Folder of one run.

    Parameters
    ----------
    directory : path-like
        Folder of all runs.
    fingerprint : str
        Name of this run's folder, which its states hold as well.
    global_random_state : bool, default=False
        Whether torch's global random state belongs to the run, and so to its states.

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
        self.fingerprint = fingerprint
        self.folder = Path(directory) / fingerprint
        self.global_random_state = global_random_state
        self.interval = EVERY_SECONDS
        self.written_at = time.monotonic()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise self._cannot_write(error) from error

    def due(self) -> bool:
        """Return whether it is time for the next state."""
        return time.monotonic() - self.written_at >= self.interval

    def write(self, state: RunState) -> None:
        """Write a state, and keep the last state as the one before.

        Parameters
        ----------
        state : RunState
            State of the run.

        Raises
        ------
        ValueError
            If the state cannot be written, as on a full disk. The last state stays on disk.
        """
        started = time.monotonic()
        content = _encode(state, self.fingerprint)
        path = self.folder / STATE
        try:
            with replaced_file(path, previous=self.folder / PREVIOUS) as file:
                file.write(content)
        except OSError as error:
            raise self._cannot_write(error) from error
        self.written_at = time.monotonic()
        duration = self.written_at - started
        self.interval = max(EVERY_SECONDS, duration / LARGEST_SHARE)

    def finish(self, state: RunState) -> None:
        """Replace all states by the outcome of the run."""
        self.write(state)
        with suppress(FileNotFoundError):
            (self.folder / PREVIOUS).unlink()

    def read(self) -> RunState | None:
        """Return the last undamaged state of this run, or None before the first.

        Raises
        ------
        ValueError
            If all states are damaged or of another run.
        """
        reason = None
        # STATE twice: another process of the same run may rename it and remove the one before
        for name in (STATE, PREVIOUS, STATE):
            content = _content(self.folder / name)
            if content is None:
                continue
            decoded = _decode(content)
            if decoded is None:
                reason = "is damaged"
                continue
            fingerprint, state = decoded
            if fingerprint == self.fingerprint:
                return state
            reason = "belongs to another run"
        if reason is not None:
            raise ValueError(
                f"The checkpoint in {str(self.folder)!r} {reason}: remove that folder to train "
                "from the start."
            )
        return None

    def _cannot_write(self, error: OSError) -> ValueError:
        reason = error.strerror or error
        return ValueError(
            f"The checkpoint could not be written to {str(self.folder)!r} ({reason}): give a "
            "checkpoint_dir that can be written, with room for a few times the model's size."
        )


def _content(path: Path) -> bytes | None:
    """Return the content of a regular file, or None if there is none."""
    if not path.is_file():
        return None
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _encode(
    state: RunState,
    fingerprint: str,
) -> bytes:
    from safetensors.torch import save

    tensors = {}
    for name, tensor in state.tensors.items():
        on_cpu = tensor.detach().cpu()
        # copied, because safetensors refuses tensors that share their memory
        tensors[name] = on_cpu.contiguous().clone()
    text = json.dumps(state.plain)
    metadata = {
        "run": fingerprint,
        "state": text,
        "checksum": _checksum(fingerprint, text, tensors),
    }
    return save(tensors, metadata)


def _decode(content: bytes) -> tuple[str, RunState] | None:
    """Return the fingerprint of a state's run, and the state; None if it is damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(content)
        header_size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + header_size])
        metadata = header["__metadata__"]
        fingerprint = metadata["run"]
        text = metadata["state"]
        if metadata["checksum"] != _checksum(fingerprint, text, tensors):
            return None
        plain = json.loads(text)
    except (SafetensorError, ValueError, KeyError, TypeError):
        return None
    return fingerprint, RunState(plain, tensors)


def _checksum(
    fingerprint: str,
    text: str,
    tensors: Mapping[str, Tensor],
) -> str:
    checksum = zlib.crc32(fingerprint.encode())
    checksum = zlib.crc32(text.encode(), checksum)
    for name in sorted(tensors):
        flat = tensors[name].reshape(-1)
        content = flat.view(torch.uint8).numpy()
        checksum = zlib.crc32(name.encode(), checksum)
        checksum = zlib.crc32(content.data, checksum)
    return f"{checksum:08x}"
