"""Model hubs: what is uploaded, and the errors of the hub's client."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from unittest import mock

import pytest

from fei_sklearn import FEIEmbedder
from fei_sklearn._saving.folder import CONFIG, WEIGHTS


def test_push_to_hub_uploads_what_save_writes(plain, tmp_path, hub):
    def upload(*, folder_path, **kwargs):
        shutil.copytree(folder_path, tmp_path / "uploaded")
        return mock.Mock(repo_url="https://hub.example/owner/name")

    hub.upload_folder.side_effect = upload
    address = plain.embedder.push_to_hub("owner/name", private=True, token="secret")
    assert address == "https://hub.example/owner/name"
    hub.create_repo.assert_called_once_with(
        "owner/name", private=True, exist_ok=True, token="secret"
    )
    call = hub.upload_folder.call_args.kwargs
    assert (call["repo_id"], call["token"]) == ("owner/name", "secret")
    assert not Path(call["folder_path"]).exists()
    assert sorted(os.listdir(tmp_path / "uploaded")) == [CONFIG, WEIGHTS]
    plain.check(FEIEmbedder.load(tmp_path / "uploaded"))


def test_a_hub_that_does_not_answer(hub):
    hub.snapshot_download.side_effect = OSError("no route\nto host")
    with pytest.raises(ValueError, match=r"'owner/name' is neither a folder.*OSError: no route$"):
        FEIEmbedder.from_pretrained("owner/name")


@pytest.mark.parametrize("use", ["from_pretrained", "push_to_hub"])
def test_without_the_hubs_client(use, plain, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"pip install 'fei-sklearn\[hub\]'"):
        getattr(plain.embedder, use)("owner/name")
