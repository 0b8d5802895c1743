"""Folders of the TF-C repository: ``train.pt``, ``val.pt``, ``test.pt``.

Each file is a dict with the tensors ``samples`` and ``labels`` (Zhang et al., "Self-Supervised
Contrastive Pre-Training For Time Series via Time-Frequency Consistency", NeurIPS 2022).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fei_sklearn.datasets._dataset import PARTS, Dataset, Part, assemble
from fei_sklearn.datasets._pt import read_pt


def read_tfc(
    folder: Path,
    name: str | None = None,
    task: str | None = None,
) -> Dataset:
    """Read a folder of ``.pt`` files. ``train.pt`` must be there.

    Parameters
    ----------
    folder : Path
        Folder of the files.
    name : str, default=None
        Name of the set; None takes the name of the folder.
    task : str, default=None
        Task of the set. None infers the task from the labels: whole numbers are classes, fractions
        are targets.

    Returns
    -------
    Dataset
        The set.

    Raises
    ------
    FileNotFoundError
        If there is no ``train.pt``.
    ValueError
        If a file is damaged or holds anything but a dict of these tensors.
    """
    if not (folder / "train.pt").is_file():
        raise FileNotFoundError(f"There is no train.pt in {folder}.")
    parts = {}
    for part in PARTS:
        file = folder / f"{part}.pt"
        if file.is_file():
            parts[part] = _read_part(file)
    task = task or _task_of(parts.values())
    return assemble(name or folder.name, task, parts, folder)


def _task_of(parts: Iterable[Part]) -> str:
    labels = [part.y for part in parts if part.y is not None]
    if not labels:
        return "pretraining"
    if all((y == np.round(y)).all() for y in labels):
        return "classification"
    return "regression"


def _read_part(path: Path) -> Part:
    arrays = read_pt(path, ("samples", "labels"))
    return Part(arrays["samples"], arrays.get("labels"))
