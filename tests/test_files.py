"""Whole files: complete and on disk, or as they were before."""

from __future__ import annotations

import errno
import os
import stat
import time
from pathlib import Path

import pytest

from fei_sklearn import _files
from fei_sklearn._files import remove_leftovers, replaced_file, sync_folder, whole_file

OLD = b"old content"
NEW = b"new content"


@pytest.fixture(params=[True, False], ids=["existing", "new"])
def path(request, tmp_path):
    """Path of a file in a folder of its own, where there is one already and where there is none."""
    path = tmp_path / "folder" / "file.bin"
    path.parent.mkdir()
    if request.param:
        path.write_bytes(OLD)
    return path


def content_of(path):
    if not path.exists():
        return None
    return path.read_bytes()


def write(path):
    with replaced_file(path) as file:
        file.write(NEW)


def failing(error):
    def fail(*arguments, **named):
        raise error

    return fail


def no_space():
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# A file that is complete


def test_the_new_content_replaces_the_old(path):
    write(path)
    assert path.read_bytes() == NEW
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_mode_bits_follow_the_umask(path, mask):
    before = os.umask(mask)
    try:
        write(path)
        assert os.umask(mask) == mask  # is restored after it was read
    finally:
        os.umask(before)
    mode = stat.S_IMODE(path.stat().st_mode)
    assert mode == 0o666 & ~mask


def test_the_file_is_flushed_before_it_is_renamed_and_the_folder_afterwards(path, monkeypatch):
    events = []
    fsync = os.fsync
    replace = os.replace

    def recording_fsync(descriptor):
        status = os.fstat(descriptor)
        is_folder = stat.S_ISDIR(status.st_mode)
        events.append("folder" if is_folder else f"file of {status.st_size}")
        fsync(descriptor)

    def recording_replace(source, target):
        events.append(f"rename to {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(os, "replace", recording_replace)
    write(path)
    assert events == [f"file of {len(NEW)}", "rename to file.bin", "folder"]


def test_readers_see_the_old_content_until_the_end(path):
    before = content_of(path)
    with replaced_file(path) as file:
        file.write(NEW)
        file.flush()
        assert content_of(path) == before


# A file that is interrupted


@pytest.mark.parametrize("error", [no_space(), KeyboardInterrupt()], ids=["disk", "ctrl-c"])
@pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
def test_interrupted_at_a_step_the_old_file_stays(path, step, error, monkeypatch):
    before = content_of(path)
    with monkeypatch.context() as patched:
        patched.setattr(os, step, failing(error))
        with pytest.raises(type(error)):
            write(path)
    assert content_of(path) == before
    assert leftovers(path.parent) == []


@pytest.mark.parametrize("error", [no_space(), KeyboardInterrupt()], ids=["disk", "ctrl-c"])
def test_interrupted_in_writing_the_old_file_stays(path, error):
    before = content_of(path)
    with pytest.raises(type(error)), replaced_file(path) as file:
        file.write(NEW[:3])
        raise error
    assert content_of(path) == before
    assert leftovers(path.parent) == []


def test_interrupted_after_the_rename_the_new_file_is_whole(path, monkeypatch):
    monkeypatch.setattr(_files, "sync_folder", failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write(path)
    assert path.read_bytes() == NEW
    assert leftovers(path.parent) == []


# The file before


def test_the_older_file_is_kept_under_another_name(path):
    before = content_of(path)
    previous = path.with_name("previous.bin")
    with replaced_file(path, previous=previous) as file:
        file.write(NEW)
    assert path.read_bytes() == NEW
    assert content_of(previous) == before


@pytest.mark.parametrize("error", [no_space(), KeyboardInterrupt()], ids=["disk", "ctrl-c"])
@pytest.mark.parametrize("n_renames", [0, 1])
def test_between_two_renames_the_older_content_is_there(tmp_path, error, n_renames, monkeypatch):
    path = tmp_path / "file.bin"
    previous = tmp_path / "previous.bin"
    path.write_bytes(OLD)
    previous.write_bytes(b"older content")
    replace = os.replace
    renamed = []

    def replace_until(source, target):
        if len(renamed) == n_renames:
            raise error
        renamed.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_until)
    with pytest.raises(type(error)), replaced_file(path, previous=previous) as file:
        file.write(NEW)
    kept = previous if n_renames else path
    assert kept.read_bytes() == OLD
    assert leftovers(tmp_path) == []


def test_the_older_file_stays_while_the_new_one_is_written(tmp_path):
    path = tmp_path / "file.bin"
    previous = tmp_path / "previous.bin"
    path.write_bytes(OLD)
    with (
        pytest.raises(ZeroDivisionError),
        replaced_file(path, previous=previous) as file,
    ):
        file.write(NEW)
        raise ZeroDivisionError
    assert path.read_bytes() == OLD
    assert not previous.exists()


# Messages


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_is_an_error_with_a_remedy(path, step, monkeypatch):
    monkeypatch.setattr(os, step, failing(no_space()))
    message = r"file\.bin' could not be written \(No space left on device\): free some\."
    with (
        pytest.raises(ValueError, match=message) as raised,
        whole_file(path, remedy="free some.") as file,
    ):
        file.write(NEW)
    assert isinstance(raised.value.__cause__, OSError)


def test_a_missing_folder_is_an_error_with_a_remedy(tmp_path):
    path = tmp_path / "missing" / "file.bin"
    with (
        pytest.raises(ValueError, match=r"No such file or directory.*folder that exists"),
        whole_file(path),
    ):
        pytest.fail("There is no file to write to.")


def test_other_errors_stay_as_they_are(path):
    before = content_of(path)
    with pytest.raises(KeyError, match="other"), whole_file(str(path)):
        raise KeyError("other")
    assert content_of(path) == before


# Folders


def test_a_folder_that_cannot_be_opened_needs_no_flush(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "open", failing(PermissionError()))
    monkeypatch.setattr(os, "fsync", failing(AssertionError("A file was flushed.")))
    sync_folder(tmp_path)


def test_the_descriptor_of_a_folder_is_closed_after_an_error(tmp_path, monkeypatch):
    closed = []
    close = os.close

    def recording_close(descriptor):
        closed.append(descriptor)
        close(descriptor)

    monkeypatch.setattr(os, "close", recording_close)
    monkeypatch.setattr(os, "fsync", failing(no_space()))
    with pytest.raises(OSError, match="No space left"):
        sync_folder(tmp_path)
    assert len(closed) == 1


# Leftovers


def leftovers(folder):
    """Return the temporary files in a folder, whatever their age."""
    return [path.name for path in folder.iterdir() if path.suffix == _files.TEMPORARY_SUFFIX]


def test_old_leftovers_are_removed_and_young_ones_are_not(tmp_path):
    an_hour_ago = time.time() - 3600
    for name, age in (("old", 60), ("young", -60)):
        path = tmp_path / f".file.bin.{name}.part"
        path.touch()
        os.utime(path, (an_hour_ago - age, an_hour_ago - age))
    (tmp_path / "file.bin").touch()
    os.utime(tmp_path / "file.bin", (0, 0))
    remove_leftovers(tmp_path, "file.bin")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [".file.bin.young.part", "file.bin"]


def test_a_killed_process_leaves_what_is_removed_later(tmp_path):
    path = tmp_path / "file.bin"
    pid = os.fork()
    if pid == 0:
        with replaced_file(path):
            os._exit(0)
    os.waitpid(pid, 0)
    (name,) = leftovers(tmp_path)
    os.utime(tmp_path / name, (0, 0))
    remove_leftovers(tmp_path, "file.bin")
    assert list(tmp_path.iterdir()) == []


def test_the_next_writer_of_a_file_removes_its_leftovers_and_no_other_file(path):
    own = path.with_name(f".{path.name}.abc.part")
    others = [path.with_name(name) for name in ("download.part", ".other.bin.abc.part")]
    for leftover in (own, *others):
        leftover.touch()
        os.utime(leftover, (0, 0))
    write(path)
    assert not own.exists()
    assert all(other.exists() for other in others)
