"""States of a run on disk, from which the run is resumed after its process was killed.

Each run has a folder, named by the fingerprint of its data and of everything else that determines
its outcome, so that no run is resumed from the state of another. The folder holds the last state
and the one before. A state is complete on disk before it replaces an older one, so at any moment
one can be read. States are data and never code: tensors, and JSON for the rest.
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

from fei_sklearn._files import remove_leftovers, replaced_file
from fei_sklearn.data import Panel

#: Version of the format, in the fingerprint: a version reads only the states that it wrote.
RUN_FORMAT = 1

#: Names of the last state and of the one before.
STATE = "state.safetensors"
PREVIOUS = "previous.safetensors"

#: Least time between two states.
EVERY_SECONDS = 1.0

#: Largest share of a run's time that writing states may take.
LARGEST_SHARE = 0.05

#: Series that are hashed at once.
CHUNK_ROWS = 1024


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
        Name of this run's folder.
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
        """Whether it is time for the next state."""
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
        content = _encode(state)
        path = self.folder / STATE
        try:
            with replaced_file(path, previous=self.folder / PREVIOUS) as file:
                file.write(content)
            remove_leftovers(self.folder)
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
        """Return the last undamaged state, or None before the first.

        Raises
        ------
        ValueError
            If all states are damaged.
        """
        is_damaged = False
        for name in (STATE, PREVIOUS):
            path = self.folder / name
            if not path.is_file():
                continue
            state = _decode(path.read_bytes())
            if state is not None:
                return state
            is_damaged = True
        if is_damaged:
            raise ValueError(
                f"The checkpoint in {str(self.folder)!r} is damaged: remove that folder to train "
                "from the start."
            )
        return None

    def _cannot_write(self, error: OSError) -> ValueError:
        reason = error.strerror or error
        return ValueError(
            f"The checkpoint could not be written to {str(self.folder)!r} ({reason}): give a "
            "checkpoint_dir that can be written, with room for a few times the model's size."
        )


def run_fingerprint(
    objective: nn.Module,
    panels: Iterable[Panel],
    settings: Mapping[str, Any],
) -> str:
    """Return the name of a run, which differs if data, initial weights or settings do.

    Parameters
    ----------
    objective : torch.nn.Module
        Module with its initial weights.
    panels : iterable of Panel
        Training series and, if there are any, validation series.
    settings : mapping
        Everything else that determines the outcome, in JSON's types or objects whose `repr` is
        complete.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    digest = hashlib.blake2b(digest_size=16)
    description = [
        RUN_FORMAT,
        type(objective).__qualname__,
        repr(objective),
        dict(settings),
    ]
    text = json.dumps(description, sort_keys=True, default=repr)
    digest.update(text.encode())
    for name, tensor in objective.state_dict().items():
        array = tensor.detach().cpu().numpy()
        _hash_array(digest, name, array)
    for number, panel in enumerate(panels):
        _hash_panel(digest, f"panel {number}", panel)
    return digest.hexdigest()


def _hash_panel(
    digest: hashlib.blake2b,
    name: str,
    panel: Panel,
) -> None:
    for start in range(0, len(panel), CHUNK_ROWS):
        end = min(start + CHUNK_ROWS, len(panel))
        rows = np.arange(start, end)
        chunk = panel.take(rows)
        _hash_array(digest, name, np.asarray(chunk.values))
        _hash_array(digest, name, chunk.lengths)
        _hash_array(digest, name, chunk.targets)


def _hash_array(
    digest: hashlib.blake2b,
    name: str,
    array: np.ndarray | None,
) -> None:
    layout = None
    if array is not None:
        layout = (array.dtype.str, array.shape)
    description = repr((name, layout))
    digest.update(description.encode())
    if array is not None:
        contiguous = np.ascontiguousarray(array)
        digest.update(contiguous.data)


def _encode(state: RunState) -> bytes:
    from safetensors.torch import save

    tensors = {}
    for name, tensor in state.tensors.items():
        on_cpu = tensor.detach().cpu()
        # copied, because safetensors refuses tensors that share their memory
        tensors[name] = on_cpu.contiguous().clone()
    text = json.dumps(state.plain)
    checksum = _checksum(text, tensors)
    return save(tensors, {"state": text, "checksum": checksum})


def _decode(content: bytes) -> RunState | None:
    """Return the state, or None if it is damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(content)
        header_size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + header_size])
        metadata = header["__metadata__"]
        text = metadata["state"]
        if metadata["checksum"] != _checksum(text, tensors):
            return None
        plain = json.loads(text)
    except (SafetensorError, ValueError, KeyError, TypeError):
        return None
    return RunState(plain, tensors)


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    checksum = zlib.crc32(text.encode())
    for name in sorted(tensors):
        flat = tensors[name].reshape(-1)
        content = flat.view(torch.uint8).numpy()
        checksum = zlib.crc32(name.encode(), checksum)
        checksum = zlib.crc32(content.data, checksum)
    return f"{checksum:08x}"
