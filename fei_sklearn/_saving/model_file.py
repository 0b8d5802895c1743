"""The file of a model: safetensors, with its configuration and a checksum in the metadata."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

LIBRARY = "fei_sklearn"

#: Errors of parsing text that is no JSON object of the expected kind.
PARSE_ERRORS = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)

Config = dict[str, Any]
Arrays = dict[str, np.ndarray]


def encode(
    config: Config,
    weights: Arrays,
) -> bytes:
    """Return the content of a model file: arrays, and in its metadata configuration and checksum.

    Parameters
    ----------
    config : dict
        Configuration, with library and format.
    weights : dict of str to ndarray
        Arrays by name.
    """
    from safetensors.numpy import save

    arrays = {name: np.asarray(array, order="C") for name, array in weights.items()}
    _, table, data = split_model(save(arrays))
    signed = config | {"sha256": digest(config, table, data)}
    # a single entry, because safetensors writes several in any order
    return save(arrays, metadata={LIBRARY: json.dumps(signed)})


def digest(config: Config, *contents: bytes | memoryview) -> str:
    """Return the checksum of contents and of a configuration, except for the checksum in it."""
    rest = {key: value for key, value in config.items() if key != "sha256"}
    text = json.dumps(rest, sort_keys=True).encode()
    checksum = hashlib.sha256(text + b"\n")
    for content in contents:
        checksum.update(content)
    return checksum.hexdigest()


def split_model(model: bytes) -> tuple[str | None, bytes, memoryview]:
    """Return the configuration in a model file, the table of its arrays, and their data."""
    n_header = int.from_bytes(model[:8], "little")
    header = json.loads(model[8 : 8 + n_header])
    metadata = header.pop("__metadata__", {})
    table = json.dumps(header, sort_keys=True).encode()
    data = memoryview(model)[8 + n_header :]
    return metadata.get(LIBRARY), table, data


def stated_size(start: bytes) -> int | None:
    """Return the size of a safetensors file by its header, or None if it cannot be read."""
    try:
        header = json.loads(start[8:])
        header.pop("__metadata__", None)
        ends = [int(entry["data_offsets"][1]) for entry in header.values()]
    except PARSE_ERRORS:
        return None
    return len(start) + max(ends, default=0)
