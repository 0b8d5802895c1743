"""Fixtures of the tests of the bridge."""

from __future__ import annotations

import pytest
from started_processes import processes_of

from fei_sklearn._bridge import job_folder


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Folder of the jobs of other processes, of which none may be left in the end."""
    monkeypatch.setattr(job_folder.tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert processes_of(tmp_path) == []
    assert list(tmp_path.glob("fei-*")) == []
