"""Models by name: folders, bundled checkpoints, and ids of a model hub."""

from __future__ import annotations

import os
import re
from pathlib import Path

from fei_sklearn._saving.hub import download

#: Checkpoints that come with the package, one folder each.
BUNDLED = Path(__file__).parents[1] / "checkpoints"

#: Valid ids on the Hugging Face hub.
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def bundled_names() -> list[str]:
    """Return the names of the checkpoints that come with the package."""
    return sorted(folder.name for folder in BUNDLED.glob("*/"))


def locate(
    name_or_path: str | os.PathLike[str],
    *,
    revision: str | None = None,
) -> Path:
    """Return the folder of a model.

    Parameters
    ----------
    name_or_path : str or path-like
        A folder; the name of a bundled checkpoint; or the id "owner/name" of a model on the
        Hugging Face hub, which is downloaded into that library's own cache. The id may end in
        "@" and a revision. A path-like object that is not a string, and a string whose owner is a
        folder here, are paths and never ids. A bundled name wins over a folder of that name, which
        "./name" names.
    revision : str, default=None
        Branch, tag or commit on the hub; None is the last one. Only an id may have a revision.

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
    if revision is not None:
        if not HUB_ID.fullmatch(name):
            raise ValueError(
                f"revision={revision!r} needs the id 'owner/name' of a model on the Hugging Face "
                f"hub, got {name!r}: leave revision out for a folder or a bundled checkpoint."
            )
        return download(name, revision)
    is_text = isinstance(name_or_path, str)
    bundled = bundled_names()
    if is_text and name in bundled:
        return BUNDLED / name
    if name and Path(name).is_dir():
        return Path(name)
    if name in bundled:
        return BUNDLED / name
    owner = name.partition("/")[0]
    repo_id, _, revision_in_name = name.partition("@")
    if is_text and HUB_ID.fullmatch(repo_id) and not Path(owner).is_dir():
        return download(repo_id, revision_in_name or None)
    raise ValueError(
        f"There is no model {name!r}: give a folder that save(path) wrote, the id 'owner/name' of "
        f"a model on the Hugging Face hub, or one of the bundled checkpoints {bundled}."
    )
