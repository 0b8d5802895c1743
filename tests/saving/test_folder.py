"""Model folders: one rename decides, whatever is interrupted; damaged folders are refused."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import tempfile
import threading
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from numbered_models import assert_whole, numbered, write_older
from quick import quick, run_python
from safetensors.numpy import save

from fei_sklearn import FEIEmbedder
from fei_sklearn._saving.folder import CONFIG, WEIGHTS, read_folder, write_folder
from fei_sklearn._saving.model_file import LIBRARY, digest, encode


def make_older(folder):
    config, weights = read_folder(folder)
    write_older(folder, config, weights)


def no_older_model(folder, config, weights):
    folder.mkdir()


#: Writers of the model that is in a folder before another one is written there.
BEFORE = {"present": write_folder, "older version": write_older}

before = pytest.mark.parametrize("write_first", BEFORE.values(), ids=BEFORE)


# Writing


@pytest.mark.parametrize("write", BEFORE.values(), ids=BEFORE)
def test_a_model_comes_back(write, tmp_path):
    config, weights = numbered(7)
    write(tmp_path / "model", config, weights)
    read_config, read_weights = read_folder(tmp_path / "model")
    assert read_config | config == read_config
    assert read_weights.keys() == weights.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(read_weights[name], array, strict=True)


def test_both_files_hold_the_same_configuration(tmp_path):
    write_folder(tmp_path, *numbered(7))
    within, _ = read_folder(tmp_path)
    beside = json.loads((tmp_path / CONFIG).read_text())
    for config in (within, beside):
        assert len(config.pop("sha256")) == 64
    assert within == beside


def test_older_versions_read_the_folder(tmp_path):
    """They compare the checksum in config.json with that of both files."""
    write_folder(tmp_path, *numbered(7))
    config = json.loads((tmp_path / CONFIG).read_text())
    assert config["sha256"] == digest(config, (tmp_path / WEIGHTS).read_bytes())
    assert (config["library"], config["format"]) == ("fei_sklearn", 1)


def test_the_model_file_alone_is_a_whole_model(plain, saved):
    (saved / CONFIG).unlink()
    plain.check(FEIEmbedder.load(saved))


@pytest.mark.parametrize("content", ["{", "{}", '{"library": "other"}', "[" * 100_000])
def test_the_copy_of_the_configuration_has_no_effect(content, plain, saved):
    (saved / CONFIG).write_text(content)
    plain.check(FEIEmbedder.load(saved))


def test_a_changed_copy_of_the_configuration_has_no_effect(plain, saved):
    change_stride(saved)
    plain.check(FEIEmbedder.load(saved))


def test_the_model_of_another_folder_comes_whole(plain, saved, tmp_path):
    other = quick(random_state=1).fit(plain.panel)
    other.save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / WEIGHTS, saved / WEIGHTS)
    embeddings = FEIEmbedder.load(saved).transform(plain.panel)
    np.testing.assert_array_equal(embeddings, other.transform(plain.panel))


def test_saving_over_a_model_replaces_it(plain, saved):
    (saved / "README.md").write_text("about this model")
    other = quick(random_state=1).fit(plain.panel)
    other.save(saved)
    embeddings = FEIEmbedder.load(saved).transform(plain.panel)
    np.testing.assert_array_equal(embeddings, other.transform(plain.panel))
    assert (embeddings != plain.embeddings).any()
    assert sorted(os.listdir(saved)) == ["README.md", CONFIG, WEIGHTS]


def test_saving_twice_gives_the_same_bytes(plain, saved, tmp_path):
    plain.embedder.save(tmp_path / "again")
    for name in (CONFIG, WEIGHTS):
        assert (saved / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_an_empty_path_is_not_the_working_directory(plain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="path is empty: give a path"):
        plain.embedder.save("")
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_a_file_is_not_written_over(plain, tmp_path):
    (tmp_path / "model").write_text("something else")
    for path in (tmp_path / "model", tmp_path / "model" / "within"):
        with pytest.raises(ValueError, match=r"could not be written.*give a folder"):
            plain.embedder.save(path)
    assert (tmp_path / "model").read_text() == "something else"


# Interrupted at any step

#: Calls of the system by which a model is written, where something may go wrong.
STEPS = [(os, "fsync"), (os, "chmod"), (os, "replace")]
#: Calls that open a file, which nobody could close if an error came just after them.
OPENING_STEPS = [(tempfile, "mkstemp"), (os, "fdopen")]


class Trouble:
    """Raises an error before or after one of the steps.

    Parameters
    ----------
    monkeypatch : pytest.MonkeyPatch
        Undone by the caller.
    error : BaseException
        The error.
    at : int
        Number of the step, from 0.
    after : bool
        Whether the step is done before the error is raised.
    """

    def __init__(self, monkeypatch, error, at, after):
        self.error = error
        self.at = at
        self.after = after
        self.n_steps = 0
        for module, name in STEPS if after else [*OPENING_STEPS, *STEPS]:
            monkeypatch.setattr(module, name, self.troubled(getattr(module, name)))

    @property
    def happened(self):
        return self.n_steps > self.at

    def troubled(self, step):
        def call(*args, **kwargs):
            is_due = self.n_steps == self.at
            self.n_steps += 1
            if is_due and not self.after:
                raise self.error
            result = step(*args, **kwargs)
            if is_due:
                raise self.error
            return result

        return call


def troubled_folders(tmp_path, monkeypatch, error, after, write_first):
    """Write model 2 over model 1, with trouble at one step after the other.

    Yields each folder with the error that was raised.
    """
    for at in range(100):
        folder = tmp_path / str(at)
        write_first(folder, *numbered(1))
        with monkeypatch.context() as patched:
            trouble = Trouble(patched, error, at, after)
            try:
                write_folder(folder, *numbered(2))
                raised = None
            except (ValueError, KeyboardInterrupt) as caught:
                raised = caught
        if not trouble.happened:
            assert at >= 2 * len(STEPS), "each of the two files takes all steps"
            return
        yield folder, raised


@before
@pytest.mark.parametrize("after", [False, True])
def test_an_interrupt_leaves_the_older_or_the_newer_model(
    write_first, after, tmp_path, monkeypatch
):
    found = set()
    for folder, raised in troubled_folders(
        tmp_path, monkeypatch, KeyboardInterrupt(), after, write_first
    ):
        assert isinstance(raised, KeyboardInterrupt)
        found.add(assert_whole(folder))
    assert found == {1, 2}


@before
def test_an_error_leaves_the_older_model(write_first, tmp_path, monkeypatch):
    error = OSError(28, "No space left on device")
    for folder, raised in troubled_folders(tmp_path, monkeypatch, error, False, write_first):
        assert isinstance(raised, ValueError)
        assert "No space left on device" in str(raised)
        assert "give a folder that can be written, with room for" in str(raised)
        assert assert_whole(folder) == 1
        assert sorted(os.listdir(folder)) == [CONFIG, WEIGHTS]


def test_an_error_leaves_an_empty_folder_empty(tmp_path, monkeypatch):
    error = OSError(28, "No space left on device")
    for folder, raised in troubled_folders(tmp_path, monkeypatch, error, False, no_older_model):
        assert isinstance(raised, ValueError)
        assert not os.listdir(folder)


@pytest.mark.parametrize("blocked", [CONFIG, WEIGHTS])
def test_a_file_that_cannot_be_replaced_leaves_the_older_model(plain, saved, blocked, monkeypatch):
    replace = os.replace
    refused = []

    def refuse_once(source, target, **kwargs):
        if Path(target).name == blocked and not refused:
            refused.append(target)
            raise PermissionError(13, "Permission denied")
        return replace(source, target, **kwargs)

    other = quick(random_state=1).fit(plain.panel)
    with monkeypatch.context() as patched, pytest.raises(ValueError, match="Permission denied"):
        patched.setattr(os, "replace", refuse_once)
        other.save(saved)
    assert sorted(os.listdir(saved)) == [CONFIG, WEIGHTS]
    plain.check(FEIEmbedder.load(saved))


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_save_makes_no_folder(error, plain, tmp_path, monkeypatch):
    message = "could not be written|^$"
    with (
        monkeypatch.context() as patched,
        pytest.raises((ValueError, KeyboardInterrupt), match=message),
    ):
        patched.setattr(os, "fsync", mock.Mock(side_effect=error))
        plain.embedder.save(tmp_path / "new")
    assert not list(tmp_path.iterdir())


# Killed at random moments, and read at the same time

KILLED_WRITER = """
import os
import random
import signal
import sys
import time
from pathlib import Path

from numbered_models import assert_whole, numbered, write_older

from fei_sklearn._saving.folder import write_folder

folder = Path(sys.argv[1])
generator = random.Random(0)
for kill in range(30):
    first = 1000 * kill
    started = time.monotonic()
    write_folder(folder, *numbered(first))
    seconds = time.monotonic() - started
    if kill % 2:
        write_older(folder, *numbered(first))
    child = os.fork()
    if child == 0:
        for number in range(first + 1, first + 1000):
            write_folder(folder, *numbered(number))
    time.sleep(generator.uniform(0.0, 2.0) * seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print(assert_whole(folder) - first)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_killed_writer_leaves_a_whole_model(tmp_path):
    lines = run_python(KILLED_WRITER, tmp_path / "model").splitlines()
    n_written = [int(line) for line in lines]
    assert len(n_written) == 30
    assert any(n_written), "some writers have written a model before they are killed"


@before
def test_a_reader_beside_a_writer_sees_whole_models(write_first, tmp_path):
    write_first(tmp_path / "model", *numbered(0))

    def write_many():
        for number in range(1, 41):
            write_folder(tmp_path / "model", *numbered(number))

    writer = threading.Thread(target=write_many)
    writer.start()
    seen = []
    while writer.is_alive():
        seen.append(assert_whole(tmp_path / "model"))
    writer.join()
    assert seen == sorted(seen)
    assert len(set(seen)) > 2


# Folders that are refused


def change_stride(folder):
    """Change config.json so that it would load, but give other embeddings."""
    config = json.loads((folder / CONFIG).read_text())
    config["fitted"]["stride_"] = 1
    (folder / CONFIG).write_text(json.dumps(config))


def truncate(folder):
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


def flip_a_bit(folder, position=-1):
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[position] ^= 1
    (folder / WEIGHTS).write_bytes(content)


class Armed:
    """Unpickling it leaves a trace."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def armed_pickle(folder):
    return pickle.dumps(Armed(folder / "executed"))


def empty(folder):
    for path in folder.iterdir():
        path.unlink()


ALTERED = "truncated or was altered"
FOREIGN = "damaged or of another library"

#: Damages of any model: a function of its folder, and the message.
DAMAGES = {
    "no folder": (shutil.rmtree, "There is no model in"),
    "an empty folder": (empty, "There is no model in"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "There is no model in"),
    "truncated weights": (truncate, ALTERED),
    "a flipped bit": (flip_a_bit, ALTERED),
    "no weights at all": (lambda f: (f / WEIGHTS).write_bytes(b""), ALTERED),
    "a pickle": (lambda f: (f / WEIGHTS).write_bytes(armed_pickle(f)), ALTERED),
}


def write_config(folder, content):
    (folder / CONFIG).write_bytes(content)


def edit_older(folder, **changes):
    """Change config.json and sign it, so that the change itself is what is refused."""
    config = json.loads((folder / CONFIG).read_text()) | changes
    config["sha256"] = digest(config, (folder / WEIGHTS).read_bytes())
    write_config(folder, json.dumps(config).encode())


def unsign(folder):
    config = json.loads((folder / CONFIG).read_text())
    write_config(folder, json.dumps(config | {"sha256": None}).encode())


def sign_a_pickle(folder):
    (folder / WEIGHTS).write_bytes(armed_pickle(folder))
    edit_older(folder)


def mix(folder):
    """Put the model of a newer version's folder, without its metadata, beside config.json."""
    _, weights = read_folder(folder)
    changed = {name: np.asarray(array + 1) for name, array in weights.items()}
    (folder / WEIGHTS).write_bytes(save(changed))


#: Damages of a model of an older version, whose configuration is in config.json alone.
OLDER_DAMAGES = DAMAGES | {
    "an unsigned change": (change_stride, ALTERED),
    "a mixture of two models": (mix, ALTERED),
    "no config": (lambda f: (f / CONFIG).unlink(), "There is no model in"),
    "a signed pickle": (sign_a_pickle, "not a safetensors file"),
    "no checksum": (unsign, ALTERED),
    "not JSON": (lambda f: write_config(f, b"{"), FOREIGN),
    "not text": (lambda f: write_config(f, b"\xff\x00"), FOREIGN),
    "a pickle as config": (lambda f: write_config(f, armed_pickle(f)), FOREIGN),
    "a list as config": (lambda f: write_config(f, b"[]"), FOREIGN),
    "a foreign config": (lambda f: write_config(f, b'{"model_type": "bert"}'), FOREIGN),
    "nested without end": (lambda f: write_config(f, b"[" * 100_000), FOREIGN),
    "another library": (lambda f: edit_older(f, library="other"), FOREIGN),
    "no format": (lambda f: edit_older(f, format=None), FOREIGN),
    "an endless format": (lambda f: edit_older(f, format=float("inf")), FOREIGN),
    "a newer format": (lambda f: edit_older(f, format=99), "format 99.*upgrade"),
}


def edit(folder, **changes):
    """Change the configuration in the model file and sign it."""
    config, weights = read_folder(folder)
    (folder / WEIGHTS).write_bytes(encode(config | changes, weights))


def write_metadata(folder, text):
    _, weights = read_folder(folder)
    (folder / WEIGHTS).write_bytes(save(weights, metadata={LIBRARY: text}))


#: Damages of a model of the present version, whose configuration is in the model file.
PRESENT_DAMAGES = DAMAGES | {
    "unsigned metadata": (lambda f: write_metadata(f, '{"library": "fei_sklearn"}'), ALTERED),
    "metadata that is not JSON": (lambda f: write_metadata(f, "{"), ALTERED),
    "metadata that is a list": (lambda f: write_metadata(f, "[]"), ALTERED),
    "nested without end": (lambda f: write_metadata(f, "[" * 100_000), ALTERED),
    "another library": (lambda f: edit(f, library="other"), FOREIGN),
    "no format": (lambda f: edit(f, format=None), FOREIGN),
    "an endless format": (lambda f: edit(f, format=float("inf")), FOREIGN),
    "a newer format": (lambda f: edit(f, format=99), "format 99.*upgrade"),
}


@pytest.mark.parametrize(("damage", "message"), PRESENT_DAMAGES.values(), ids=PRESENT_DAMAGES)
def test_a_damaged_folder_is_refused(damage, message, saved):
    assert_refused(saved, damage, message)


@pytest.mark.parametrize(("damage", "message"), OLDER_DAMAGES.values(), ids=OLDER_DAMAGES)
def test_a_damaged_folder_of_an_older_version_is_refused(damage, message, saved):
    make_older(saved)
    assert_refused(saved, damage, message)


def assert_refused(folder, damage, message):
    damage(folder)
    files = sorted(folder.iterdir()) if folder.exists() else None
    with pytest.raises(ValueError, match=f"(?s){message}") as error:
        FEIEmbedder.load(folder)
    assert type(error.value) is ValueError
    assert "\n" not in str(error.value)
    assert str(error.value).count(". ") <= 1
    assert not (folder / "executed").exists()
    assert files == (sorted(folder.iterdir()) if folder.exists() else None)


@pytest.mark.parametrize("has_copy", [True, False])
def test_every_flipped_bit_is_found(has_copy, tmp_path):
    write_folder(tmp_path, *numbered(1))
    if not has_copy:
        (tmp_path / CONFIG).unlink()
    content = (tmp_path / WEIGHTS).read_bytes()
    n_header = 8 + int.from_bytes(content[:8], "little")
    message = ALTERED if has_copy else f"{ALTERED}|There is no model in"
    for position in [*range(0, n_header, 4), *range(n_header, len(content), 97)]:
        flip_a_bit(tmp_path, position)
        with pytest.raises(ValueError, match=message):
            read_folder(tmp_path)
        (tmp_path / WEIGHTS).write_bytes(content)


# Files that are no files, or larger than they say


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
@pytest.mark.parametrize("kind", ["device", "pipe"])
def test_a_device_or_a_pipe_is_refused(kind, name, saved):
    path = saved / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(ValueError, match=rf"{name}' is not a regular file"):
        read_folder(saved)


def test_a_link_to_a_file_is_followed(plain, saved, tmp_path):
    blob = tmp_path / "blob"
    (saved / WEIGHTS).rename(blob)
    (saved / WEIGHTS).symlink_to(blob)
    plain.check(FEIEmbedder.load(saved))


def test_a_file_larger_than_its_header_says_is_not_read(saved):
    with (saved / WEIGHTS).open("r+b") as file:
        file.truncate(2**40)  # takes no room on disk
    with pytest.raises(ValueError, match="truncated or was altered"):
        read_folder(saved)


def test_a_configuration_without_end_is_not_read(saved):
    with (saved / CONFIG).open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match=r"config\.json' does not describe"):
        read_folder(saved)
