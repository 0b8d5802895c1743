"""Folders of the TF-C repository: ``train.pt``, ``val.pt``, ``test.pt``.

Each file is a dict with the tensors ``samples`` and ``labels`` (Zhang et al., "Self-Supervised
Contrastive Pre-Training For Time Series via Time-Frequency Consistency", NeurIPS 2022).
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy import ndarray

from fei_sklearn.datasets._dataset import PARTS, Dataset, Part, assemble


def read_tfc(
    folder: Path,
    name: str | None = None,
    task: str | None = None,
) -> Dataset:
    """Read a folder of ``.pt`` files, of which ``train.pt`` must exist.

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
    content = _load(path)
    if not isinstance(content, dict):
        found = type(content).__name__
        raise ValueError(f"{path} holds {found} instead of a dict with 'samples' and 'labels'.")
    if "samples" not in content:
        raise ValueError(
            f"{path} holds {list(content)} instead of a dict with 'samples' and 'labels'."
        )
    X = _array(content["samples"], "samples", path)
    labels = content.get("labels")
    if labels is None:
        return Part(X)
    return Part(X, _array(labels, "labels", path))


def _load(path: Path) -> object:
    import torch  # only for this format

    try:
        content: object = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises any of six classes for a file that is cut short
        if isinstance(error, pickle.UnpicklingError) and "Weights only" in str(error):
            raise ValueError(
                f"{path} holds more than tensors, and running a file's code is never allowed: "
                "save a dict of the tensors 'samples' and 'labels'."
            ) from None
        raise ValueError(
            f"{path} is damaged or not saved by torch.save: copy or download it again."
        ) from error
    return content


def _array(
    value: object,
    key: str,
    path: Path,
) -> ndarray:
    import torch

    if not isinstance(value, torch.Tensor):
        raise ValueError(
            f"{path}: {key!r} is a {type(value).__name__} instead of a tensor: save a tensor."
        )
    if value.dtype is torch.bfloat16:  # NumPy has no such type
        value = value.float()
    array: ndarray = value.numpy()
    return array
