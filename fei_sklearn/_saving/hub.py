"""Models on the Hugging Face hub: download and upload with the hub's own client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fei_sklearn._saving.folder import CONFIG, WEIGHTS


def download(
    repo_id: str,
    revision: str | None = None,
) -> Path:
    """Return the folder of the hub's cache that holds a model, downloaded if needed."""
    hub = _hub()
    names = [CONFIG, WEIGHTS]
    try:
        folder = hub.snapshot_download(repo_id, revision=revision, allow_patterns=names)
        return Path(folder)
    except Exception as error:  # every failure of the hub's client, network included
        first_line = str(error).partition("\n")[0]
        raise ValueError(
            f"{repo_id!r} is neither a folder nor a model that the Hugging Face hub returned: "
            f"{type(error).__name__}: {first_line}"
        ) from error


def upload(
    folder: Path,
    repo_id: str,
    *,
    private: bool,
    token: str | None,
) -> str:
    """Upload a model's folder to the Hugging Face hub and return its address."""
    hub = _hub()
    hub.create_repo(repo_id, private=private, exist_ok=True, token=token)
    commit = hub.upload_folder(repo_id=repo_id, folder_path=str(folder), token=token)
    address = getattr(commit, "repo_url", None)  # older clients return no address
    return str(address or f"https://huggingface.co/{repo_id}")


def _hub() -> Any:
    """Return the client of the Hugging Face hub."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise ValueError(
            "The Hugging Face hub needs the package huggingface_hub: "
            "pip install 'fei-sklearn[hub]'."
        ) from error
    return huggingface_hub
