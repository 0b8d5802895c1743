"""Tables in ``.arff`` files, as in the UEA and UCR archives."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from fei_sklearn.datasets._columns import label_position, refuse_other_columns
from fei_sklearn.datasets._dataset import Part, PartFile, Series
from fei_sklearn.datasets._text import without_padding

#: Characters beyond ASCII, and their codes between two control characters.
BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
ENCODED = re.compile("\x01([0-9a-f]+)\x02")


def read_arff(path: Path, label: str | None = None) -> PartFile:
    """Read a table.

    Parameters
    ----------
    path : Path
        The file. Either each numeric attribute is a time point, or one relational attribute holds
        the channels of a series as its rows.
    label : str, default=None
        Name of the attribute of labels. None takes the only nominal attribute.

    Returns
    -------
    PartFile
        Series and labels. Nominal labels are classes, numeric labels are targets.

    Raises
    ------
    ValueError
        If the file is damaged, or an attribute is neither numeric nor the labels.
    """
    data, types = _load(path)
    names = list(types)
    nominal = [name for name in names if types[name] == "nominal"]
    if label is None and len(nominal) == 1:
        label = nominal[0]
    position = label_position(names, label, path)
    kept = [name for i, name in enumerate(names) if i != position]
    refuse_other_columns(kept, path)
    X = _series(data, {name: types[name] for name in kept}, path)
    if position is None:
        return PartFile(Part(X), "pretraining", kept)
    labels = data[names[position]]
    if labels.dtype.kind != "S":
        return PartFile(Part(X, labels), "regression", kept)
    y = np.array([_decoded(text.decode()) for text in labels])
    missing = np.flatnonzero(y == "?")
    if len(missing):
        raise ValueError(f"{path}, case {missing[0] + 1} has no label: add it, or leave it out.")
    return PartFile(Part(X, y), "classification", kept)


def _load(path: Path) -> tuple[ndarray, dict[str, str]]:
    """Return the cases of a file, and the type of each attribute."""
    from scipy.io import arff  # only for this format

    try:
        text = path.read_text(encoding="utf-8-sig")
        data, meta = arff.loadarff(io.StringIO(_in_ascii(text)))
    except NotImplementedError as error:
        raise ValueError(f"{path}: {error}. Leave the attribute out.") from None
    except Exception as error:  # a damaged file makes scipy raise any of eight classes
        raise ValueError(
            f"{path} is damaged or no .arff file ({error}): copy or download it again."
        ) from error
    if not data.size:
        raise ValueError(f"{path} has no case after @data: copy or download it again.")
    cases = np.atleast_1d(data)
    names = [_decoded(name) for name in meta.names()]
    cases.dtype.names = tuple(names)
    return cases, dict(zip(names, meta.types(), strict=True))


def _in_ascii(text: str) -> str:
    """Return a text with the code of each character beyond ASCII, which scipy cannot store."""
    return BEYOND_ASCII.sub(lambda match: f"\x01{ord(match[0]):x}\x02", text)


def _decoded(text: str) -> str:
    """Return the text that `_in_ascii` has encoded."""
    return ENCODED.sub(lambda match: chr(int(match[1], 16)), text)


def _series(data: ndarray, types: dict[str, str], path: Path) -> Series:
    names = list(types)
    if len(names) == 1 and types[names[0]] == "relational":
        cases = [_channels(case) for case in data[names[0]]]
        if len({case.shape for case in cases}) == 1:
            return np.stack(cases)
        return cases
    for name, kind in types.items():
        if kind not in ("numeric", "real", "integer"):
            raise ValueError(
                f"{path}: attribute {name!r} is {kind} instead of numeric: name the attribute of "
                "labels, and leave out others."
            )
    if not names:
        raise ValueError(f"{path} has no attribute beside its labels: give a table of series.")
    values = np.stack([data[name] for name in names], axis=1)
    return without_padding(values, path, range(1, len(values) + 1))


def _channels(case: Any) -> ndarray:
    """Return the rows of a relational attribute as channels."""
    columns = [case[name] for name in case.dtype.names]
    return np.stack(columns, axis=1).astype(np.float64)
