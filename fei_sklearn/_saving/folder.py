"""A model in a folder: weights as safetensors, everything else as JSON. Data, never code.

The folder is also what a model hub keeps. Nothing in it is executed when it is read.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

CONFIG, WEIGHTS = "config.json", "model.safetensors"
LIBRARY, MODEL_FORMAT = "fei_sklearn", 1

#: Checkpoints that come with the package, one folder each.
BUNDLED = Path(__file__).parents[1] / "checkpoints"


def write_folder(
    path: str | os.PathLike[str], config: dict[str, Any], weights: dict[str, np.ndarray]
) -> None:
    """Write a model; both files are complete before either takes its place.

    Parameters
    ----------
    path : path-like
        The folder, made if it does not exist.
    config : dict
        What JSON can hold.
    weights : dict of str to ndarray
        Arrays by name.

    Raises
    ------
    ValueError
        If `path` is a file, or cannot be written.
    """
    from safetensors.numpy import save

    arrays = {name: np.asarray(array, order="C") for name, array in weights.items()}
    payload = save(arrays)
    config = {"library": LIBRARY, "format": MODEL_FORMAT} | config
    text = json.dumps(config | {"sha256": digest(config, payload)}, indent=1).encode()
    folder = Path(path)
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            for name, content in ((WEIGHTS, payload), (CONFIG, text)):
                _write_durably(Path(scratch, name), content)
            _swap_in(Path(scratch), folder)
    except OSError as error:
        if is_new and folder.is_dir():
            folder.rmdir()
        raise ValueError(
            f"The model could not be written to {str(folder)!r} ({error.strerror or error}): give "
            "a folder that can be written, with room for "
            f"{len(payload) / 1e6:.1f} MB."
        ) from error


def digest(config: dict[str, Any], payload: bytes) -> str:
    """Checksum of a model: of its configuration, but for the checksum itself, and its weights."""
    rest = {key: value for key, value in config.items() if key != "sha256"}
    text = json.dumps(rest, sort_keys=True).encode()
    return hashlib.sha256(text + b"\n" + payload).hexdigest()


def _swap_in(scratch: Path, folder: Path) -> None:
    """Move both files into the folder; if one cannot be, put the older ones back."""
    older = scratch / "older"
    older.mkdir()
    done: list[str] = []
    try:
        for name in (WEIGHTS, CONFIG):
            if (folder / name).exists():
                shutil.copy2(folder / name, older / name)
            os.replace(scratch / name, folder / name)
            done.append(name)
    except OSError:
        for name in done:
            if (older / name).exists():
                os.replace(older / name, folder / name)
            else:
                (folder / name).unlink()
        raise


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_folder(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a model that :func:`write_folder` wrote.

    Parameters
    ----------
    path : path-like
        The folder.

    Returns
    -------
    config : dict
        As it was written.
    weights : dict of str to ndarray
        As they were written.

    Raises
    ------
    ValueError
        If there is no model, or one that is truncated, altered, foreign or of a newer format.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    folder = Path(path)
    try:
        text, payload = (folder / CONFIG).read_bytes(), (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise ValueError(
            f"There is no model in {str(folder)!r}: a model is a folder with {CONFIG} and "
            f"{WEIGHTS}, as save(path) writes it."
        ) from error
    try:
        config = json.loads(text)
        if config["library"] != LIBRARY:
            raise KeyError
        newest = int(config["format"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(
            f"{str(folder / CONFIG)!r} does not describe a {LIBRARY} model: it is damaged or of "
            "another library."
        ) from error
    if newest > MODEL_FORMAT:
        raise ValueError(
            f"{str(folder)!r} has format {newest}, this {LIBRARY} reads up to {MODEL_FORMAT}: "
            f"upgrade {LIBRARY}."
        )
    if digest(config, payload) != config.get("sha256"):
        raise ValueError(
            f"The model in {str(folder)!r} is truncated or was altered after it was written: its "
            f"checksum is not the one in {CONFIG}. Fetch or save the model again."
        )
    try:
        return config, load(payload)
    except SafetensorError as error:
        raise ValueError(f"{str(folder / WEIGHTS)!r} is not a safetensors file.") from error


def locate(name_or_path: str | os.PathLike[str]) -> Path:
    """Folder of a model: one on disk, one that comes with the package, or one of a model hub.

    Parameters
    ----------
    name_or_path : str or path-like
        A folder; the name of a bundled checkpoint; or the id "owner/name" of a model on the
        Hugging Face hub, which is downloaded into that library's own cache.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ValueError
        If there is no such model.
    """
    name = os.fspath(name_or_path)
    if name and Path(name).is_dir():
        return Path(name)
    bundled = sorted(folder.name for folder in BUNDLED.glob("*/")) if BUNDLED.is_dir() else []
    if name in bundled:
        return BUNDLED / name
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return _download(name)
    raise ValueError(
        f"There is no model {name!r}: give a folder that save(path) wrote, the id 'owner/name' of "
        f"a model on the Hugging Face hub, or one of the bundled checkpoints {bundled}."
    )


def _download(repo_id: str) -> Path:
    hub = _hub()
    try:
        return Path(hub.snapshot_download(repo_id, allow_patterns=[CONFIG, WEIGHTS]))
    except Exception as error:  # every failure of the hub's client, network included
        raise ValueError(
            f"{repo_id!r} is neither a folder nor could it be had from the Hugging Face hub: "
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        ) from error


def upload(folder: Path, repo_id: str, *, private: bool, token: str | None) -> str:
    """Upload a model's folder to the Hugging Face hub and return its address."""
    hub = _hub()
    hub.create_repo(repo_id, private=private, exist_ok=True, token=token)
    commit = hub.upload_folder(repo_id=repo_id, folder_path=str(folder), token=token)
    return str(getattr(commit, "repo_url", None) or f"https://huggingface.co/{repo_id}")


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ValueError(
            "The Hugging Face hub needs the package huggingface_hub: "
            "pip install 'fei-sklearn[hub]'."
        ) from error
    return huggingface_hub
