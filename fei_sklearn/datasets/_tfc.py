"""Folders of the TF-C repository: ``train.pt``, ``val.pt``, ``test.pt``.

Each file is a dict with the tensors ``samples`` and ``labels`` (Zhang et al., "Self-Supervised
Contrastive Pre-Training For Time Series via Time-Frequency Consistency", NeurIPS 2022).
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from fei_sklearn.datasets._dataset import Dataset, Part, assemble


def read_tfc(folder: Path, name: str | None = None, task: str | None = None) -> Dataset:
    """Read a folder of ``.pt`` files, of which ``train.pt`` must be there.

    Parameters
    ----------
    folder : Path
        Where the files are.
    name : str, default=None
        Name of the set, that of the folder if None.
    task : str, default=None
        None tells it from the labels: whole numbers are classes, fractions targets.

    Raises
    ------
    FileNotFoundError
        If there is no ``train.pt``.
    ValueError
        If a file is damaged or holds anything but a dict of these tensors.
    """
    if not (folder / "train.pt").is_file():
        raise FileNotFoundError(f"There is no train.pt in {folder}.")
    parts = {
        part: _read_part(folder / f"{part}.pt")
        for part in ("train", "val", "test")
        if (folder / f"{part}.pt").is_file()
    }
    if task is None:
        labels = [part.y for part in parts.values() if part.y is not None]
        if not labels:
            task = "pretraining"
        elif all((y == np.round(y)).all() for y in labels):
            task = "classification"
        else:
            task = "regression"
    return assemble(name or folder.name, task, parts, folder)


def _read_part(path: Path) -> Part:
    import torch  # only for this format

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch has no exception of its own for a file cut short: it may be any of half a dozen
        if isinstance(error, pickle.UnpicklingError) and "Weights only" in str(error):
            raise ValueError(
                f"{path} holds more than tensors, and running a file's code is never allowed: "
                "save a dict of the tensors 'samples' and 'labels'."
            ) from None
        raise ValueError(
            f"{path} is damaged or not saved by torch.save: copy or download it again."
        ) from error
    if not isinstance(content, dict) or "samples" not in content:
        found = list(content) if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{path} holds {found} instead of a dict with 'samples' and 'labels'.")
    arrays = []
    for key in ("samples", "labels"):
        value = content.get(key)
        if isinstance(value, torch.Tensor):
            value = (value.float() if value.is_floating_point() else value).numpy()
        elif value is not None or key == "samples":
            raise ValueError(
                f"{path}: {key!r} is a {type(value).__name__} instead of a tensor: save a tensor."
            )
        arrays.append(value)
    return Part(*arrays)
