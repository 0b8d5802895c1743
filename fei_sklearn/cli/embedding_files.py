"""Files of embeddings: .npz, .csv and .parquet."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import numpy as np

from fei_sklearn._files import whole_file


@dataclass(frozen=True)
class Embedded:
    """Embeddings of series, and what is known of each series.

    Attributes
    ----------
    columns : dict of str to ndarray of shape (n_samples,)
        "part", and "y" where all series have a label.
    embeddings : ndarray of shape (n_samples, n_features)
        Embeddings.
    names : list of str
        Names of the features.
    """

    columns: dict[str, np.ndarray]
    embeddings: np.ndarray
    names: list[str]


def check_out(out: Path) -> None:
    """Raise if a file of embeddings cannot be written, before anything is computed."""
    if out.suffix not in WRITERS:
        raise ValueError(f"--out must end in {', '.join(WRITERS)}, got {str(out)!r}.")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(out.parent)!r} to write in: make it.")
    if out.suffix != ".parquet":
        return
    missing = [name for name in ("pandas", "pyarrow") if find_spec(name) is None]
    if missing:
        needed = " and ".join(missing)
        packages = " ".join(missing)
        raise ValueError(f"Parquet needs {needed}: pip install {packages}, or write .npz or .csv.")


def write_embeddings(out: Path, embedded: Embedded) -> None:
    """Write a file of embeddings, in the format of its ending."""
    write = WRITERS[out.suffix]
    with whole_file(out) as file:
        write(file, embedded)


def _write_npz(file: IO[bytes], embedded: Embedded) -> None:
    arrays: dict[str, Any] = {"embeddings": embedded.embeddings}
    arrays |= embedded.columns
    np.savez_compressed(file, **arrays)


def _write_csv(file: IO[bytes], embedded: Embedded) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*embedded.columns, *embedded.names])
    rows = zip(*embedded.columns.values(), embedded.embeddings, strict=True)
    for *cells, embedding in rows:
        writer.writerow([*cells, *embedding])
    text.detach()  # the file stays open


def _write_parquet(file: IO[bytes], embedded: Embedded) -> None:
    import pandas as pd

    frame = pd.DataFrame(embedded.embeddings, columns=embedded.names)
    for position, (name, column) in enumerate(embedded.columns.items()):
        frame.insert(position, name, column)
    frame.to_parquet(file, index=False)


#: File ending -> function that writes such a file.
WRITERS = {".npz": _write_npz, ".csv": _write_csv, ".parquet": _write_parquet}
