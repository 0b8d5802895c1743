"""Folders of jobs: those of killed jobs are removed, and no others."""

from __future__ import annotations

import os

import pytest

from fei_sklearn._bridge import job_folder


@pytest.mark.parametrize("state", ["abandoned", "locked", "young"])
def test_folders_of_killed_jobs_are_removed(state, tmp_path):
    folder = tmp_path / f"{job_folder.FOLDER_PREFIX}x"
    folder.mkdir()
    with open(folder / job_folder.LOCK, "wb") as lock:
        if state == "locked":
            assert job_folder._take(lock)
        if state != "young":
            os.utime(folder, (0, 0))
        job_folder.remove_abandoned(tmp_path)
    assert folder.exists() == (state != "abandoned")


def test_the_folder_of_a_job_is_locked_and_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(job_folder.tempfile, "tempdir", str(tmp_path))
    with job_folder.job_folder() as folder:
        assert folder.parent == tmp_path
        os.utime(folder, (0, 0))
        job_folder.remove_abandoned(tmp_path)
        assert folder.is_dir()
    assert list(tmp_path.iterdir()) == []
