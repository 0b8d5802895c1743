"""Small data sets on disk in the published formats, random but the same in every run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

Arrays = dict[str, np.ndarray]

#: Number of series of each part.
SIZES = {"train": 6, "val": 4, "test": 5}

TS_HEADER = "# made up\n@problemName Pumps\n@timeStamps false\n@classLabel true 10 9\n"


def random_panels(n_channels: int = 2, length: int = 9, seed: int = 0) -> Arrays:
    """Return the arrays of a classification set with two classes."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for part, n_series in SIZES.items():
        X = rng.normal(size=(n_series, n_channels, length))
        arrays[f"X_{part}"] = X.astype(np.float32)
        arrays[f"y_{part}"] = np.arange(n_series) % 2
    return arrays


def write_npz(
    folder: Path,
    name: str = "pumps.npz",
    *,
    n_channels: int = 2,
    length: int = 9,
    **changes: np.ndarray | None,
) -> Arrays:
    """Write a set of random panels and return its arrays; a change to None drops an array."""
    changed = random_panels(n_channels, length) | changes
    arrays = {key: array for key, array in changed.items() if array is not None}
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, **arrays)
    return arrays


def write_tfc(
    folder: Path,
    labels: tuple[float, ...] = (0.0, 1.0, 1.0),
    parts: tuple[str, ...] = ("train", "val", "test"),
) -> dict[str, torch.Tensor]:
    """Write a folder of TF-C and return the samples of each part."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    samples = {}
    for part in parts:
        n_series = 2 if part == "val" else 3
        size = (n_series, 2, 200)
        samples[part] = torch.randn(size, generator=generator, dtype=torch.float64)
        content = {"samples": samples[part], "labels": torch.tensor(labels)[:n_series]}
        torch.save(content, folder / f"{part}.pt")
    return samples


def write_tsv(folder: Path, train: str, test: str, name: str = "Pumps") -> None:
    """Write the two files of a set in the UCR archive's format."""
    folder.mkdir(exist_ok=True, parents=True)
    (folder / f"{name}_TRAIN.tsv").write_text(train)
    (folder / f"{name}_TEST.tsv").write_text(test)


def write_ts(folder: Path, train: str, test: str | None = None) -> Path:
    """Write the two files of a .ts set and return the training file."""
    path = folder / "Pumps_TRAIN.ts"
    path.write_text(train)
    (folder / "Pumps_TEST.ts").write_text(test or train)
    return path
