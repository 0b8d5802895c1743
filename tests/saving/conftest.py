"""Fixtures of the tests of saving."""

from __future__ import annotations

import sys
from unittest import mock

import pytest
import torch
from fitted_models import KINDS, Model
from quick import walks


@pytest.fixture(scope="package", params=KINDS.values(), ids=KINDS)
def model(request):
    """A fitted embedder of each kind."""
    params, panel = request.param
    return Model(params, panel)


@pytest.fixture(scope="package")
def plain():
    return Model({}, walks)


@pytest.fixture
def saved(plain, tmp_path):
    plain.embedder.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def no_cuda(monkeypatch):
    if hasattr(torch, "accelerator"):
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


@pytest.fixture
def hub(monkeypatch):
    """The hub's client with no network behind it; calls have to fit the real signatures."""
    real = pytest.importorskip("huggingface_hub")
    fake = mock.Mock(spec=["snapshot_download", "create_repo", "upload_folder"])
    for name in fake._mock_methods:
        setattr(fake, name, mock.create_autospec(getattr(real, name)))
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    return fake
