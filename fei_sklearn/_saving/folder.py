"""A model in a folder: weights as safetensors, everything else as JSON. Data, never code.

`model.safetensors` alone is a whole model, and one rename puts it in place. `config.json` beside it
is a copy of its configuration, to be read by people and by versions that kept the configuration
there alone. The copy is only used for models of those versions; for any other model it may be
stale, altered or missing.

The folder is also what a model hub keeps. Nothing in it is executed when it is read.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO

from fei_sklearn._files import refuse_empty, whole_file
from fei_sklearn._saving.model_file import (
    LIBRARY,
    PARSE_ERRORS,
    Arrays,
    Config,
    digest,
    encode,
    split_model,
    stated_size,
)

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
MODEL_FORMAT = 1

#: Most bytes of a configuration, as of the header of a safetensors file.
MOST_CONFIG_BYTES = 100_000_000


def write_folder(
    path: str | os.PathLike[str],
    config: Config,
    weights: Arrays,
) -> None:
    """Write a model.

    A process that is killed, or interrupted, leaves the older model or the newer one, whole.

    Parameters
    ----------
    path : path-like
        The folder, made if it does not exist.
    config : dict
        Configuration that JSON can hold.
    weights : dict of str to ndarray
        Arrays by name.

    Raises
    ------
    ValueError
        If `path` is a file, or cannot be written. An older model stays as it was.
    """
    refuse_empty(path, "path")
    folder = Path(path)
    config = {"library": LIBRARY, "format": MODEL_FORMAT} | config
    model = encode(config, weights)
    copy = config | {"sha256": digest(config, model)}
    text = json.dumps(copy, indent=1).encode()
    remedy = f"give a folder that can be written, with room for {len(model) / 1e6:.1f} MB."
    is_new = not folder.exists()
    try:
        older = _prepare(folder, remedy)
        try:
            _replace_files(folder, model, text, remedy)
        except ValueError:
            _put_back(folder, older)
            raise
    except BaseException:
        if is_new:
            with suppress(OSError):  # there is no folder, or a whole model in it
                folder.rmdir()
        raise


def _prepare(
    folder: Path,
    remedy: str,
) -> dict[str, bytes | None]:
    """Make a folder, and return the contents of its files as they are."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return {name: _content(folder / name) for name in (CONFIG, WEIGHTS)}
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{str(folder)!r} could not be written ({reason}): {remedy}") from error


def _content(path: Path) -> bytes | None:
    try:
        with _open_regular(path) as file:
            return file.read()
    except FileNotFoundError:
        return None


def _replace_files(
    folder: Path,
    model: bytes,
    text: bytes,
    remedy: str,
) -> None:
    # The model is renamed first, and this alone decides which model the folder holds. The other
    # order would leave, for a moment, the model of an older version beside a newer config.json.
    with whole_file(folder / CONFIG, remedy=remedy) as config_file:
        config_file.write(text)
        config_file.flush()  # a full disk shows before the model is renamed
        with whole_file(folder / WEIGHTS, remedy=remedy) as model_file:
            model_file.write(model)


def _put_back(
    folder: Path,
    older: dict[str, bytes | None],
) -> None:
    """Restore the older files, or remove the newer ones; if that fails, the newer model stays."""
    with suppress(OSError, ValueError):
        # config.json first: it may be the older version's, which goes with the older model
        for name in (CONFIG, WEIGHTS):
            _restore(folder / name, older[name])


def _restore(
    path: Path,
    older: bytes | None,
) -> None:
    if older is None:
        path.unlink(missing_ok=True)
    elif _content(path) != older:
        with whole_file(path) as file:
            file.write(older)


def read_folder(path: str | os.PathLike[str]) -> tuple[Config, Arrays]:
    """Read a model that :func:`write_folder` wrote.

    Parameters
    ----------
    path : path-like
        The folder.

    Returns
    -------
    config : dict
        Configuration.
    weights : dict of str to ndarray
        Arrays by name.

    Raises
    ------
    ValueError
        If there is no model, or one that is truncated, altered, foreign or of a newer format.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    folder = Path(path)
    # Read before the model: a writer renames the model first, so that the model of an older version
    # is never read together with a newer config.json.
    text = None
    with suppress(OSError):
        text = _read_config(folder / CONFIG)
    try:
        model = _read_model(folder / WEIGHTS)
    except OSError as error:
        raise _no_model(folder) from error
    config = _config_within(folder, model)
    if config is None:
        config = _config_beside(folder, model, text)
    try:
        return config, load(model)
    except SafetensorError as error:
        raise _not_safetensors(folder / WEIGHTS) from error


def _read_config(path: Path) -> bytes:
    with _open_regular(path) as file:
        n_bytes = os.fstat(file.fileno()).st_size
        if n_bytes > MOST_CONFIG_BYTES:
            raise _foreign(path)
        return file.read()


def _read_model(path: Path) -> bytes:
    """Return the content of a model file, whose header must describe a file of its size."""
    with _open_regular(path) as file:
        n_bytes = os.fstat(file.fileno()).st_size
        start = file.read(8)
        n_header = int.from_bytes(start, "little")
        if n_header <= MOST_CONFIG_BYTES:
            start += file.read(n_header)
        stated = stated_size(start)
        if stated is None and n_bytes > MOST_CONFIG_BYTES:
            raise _not_safetensors(path)
        if stated is not None and stated != n_bytes:
            raise _altered(path.parent)
        return start + file.read()


def _open_regular(path: Path) -> IO[bytes]:
    """Open a regular file; reading a device or a pipe might never end."""
    # without O_NONBLOCK, opening a pipe waits for its writer
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise ValueError(f"{str(path)!r} is not a regular file: a model has no devices or pipes.")
    return file


def _config_within(
    folder: Path,
    model: bytes,
) -> Config | None:
    """Return the checked configuration in a model file, or None where there is none."""
    try:
        text, table, data = split_model(model)
    except PARSE_ERRORS:
        return None
    if text is None:
        return None
    try:
        config: Config = json.loads(text)
        is_intact = digest(config, table, data) == config["sha256"]
    except PARSE_ERRORS as error:
        raise _altered(folder) from error
    if not is_intact:
        raise _altered(folder)
    _check_format(config, folder / WEIGHTS)
    return config


def _config_beside(
    folder: Path,
    model: bytes,
    text: bytes | None,
) -> Config:
    """Return the checked configuration in config.json, as older versions wrote it."""
    if text is None:
        raise _no_model(folder)
    try:
        config: Config = json.loads(text)
    except PARSE_ERRORS as error:
        raise _foreign(folder / CONFIG) from error
    _check_format(config, folder / CONFIG)
    if digest(config, model) != config.get("sha256"):
        raise _altered(folder)
    return config


def _check_format(
    config: Config,
    path: Path,
) -> None:
    """Raise a ValueError if a configuration is of another library or of a newer format."""
    try:
        is_foreign = config["library"] != LIBRARY
        model_format = int(config["format"])
    except PARSE_ERRORS as error:
        raise _foreign(path) from error
    if is_foreign:
        raise _foreign(path)
    if model_format > MODEL_FORMAT:
        raise ValueError(
            f"{str(path.parent)!r} has format {model_format}, this {LIBRARY} reads up to "
            f"{MODEL_FORMAT}: upgrade {LIBRARY}."
        )


def _no_model(folder: Path) -> ValueError:
    return ValueError(
        f"There is no model in {str(folder)!r}: a model is a folder with {CONFIG} and {WEIGHTS}, "
        "as save(path) writes it."
    )


def _altered(folder: Path) -> ValueError:
    return ValueError(
        f"The model in {str(folder)!r} is truncated or was altered after it was written: its "
        "checksum is wrong. Fetch or save the model again."
    )


def _not_safetensors(path: Path) -> ValueError:
    return ValueError(f"{str(path)!r} is not a safetensors file.")


def _foreign(path: Path) -> ValueError:
    return ValueError(
        f"{str(path)!r} does not describe a {LIBRARY} model: it is damaged or of another library."
    )
