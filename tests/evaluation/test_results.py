"""The results file, whole and torn."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest
from quick import python_path
from result_records import record

from fei_sklearn.evaluation import read_results, results
from fei_sklearn.evaluation.results import ResultsFile, cell_key, cell_name


@pytest.fixture
def path(tmp_path):
    """Results file of two records."""
    path = tmp_path / "results.jsonl"
    file = ResultsFile(path)
    file.add(record(seed=0))
    file.add(record(seed=1))
    return path


def test_records_are_read_as_they_were_added(path):
    assert read_results(path) == [record(seed=0), record(seed=1)]
    assert list(ResultsFile(path).records) == [cell_key(record(seed=seed)) for seed in (0, 1)]


def test_a_cell_has_a_name():
    assert cell_name(record(seed=2)) == "EPI, mine, seed 2"
    assert cell_name(record(settings={"labels": 5})) == "EPI, mine, labels 5, seed 0"


def test_the_later_of_two_records_of_a_cell_counts(tmp_path):
    first = tmp_path / "first"
    second = tmp_path / "second"
    ResultsFile(first).add(record(accuracy=0.1))
    ResultsFile(second).add(record(accuracy=0.8))
    (kept,) = read_results(first, second)
    assert kept["metrics"]["accuracy"] == 0.8


@pytest.mark.parametrize("n_kept", [1, 20, 60, -1])
def test_a_torn_last_line_is_cut_off(n_kept, path):
    first, second = path.read_bytes().splitlines(keepends=True)
    torn = second.rstrip()[:n_kept]
    path.write_bytes(first + torn)
    assert read_results(path) == [record(seed=0)]
    assert path.read_bytes() == first + torn  # reading changes nothing
    file = ResultsFile(path)
    assert path.read_bytes() == first
    file.add(record(seed=1))
    assert path.read_bytes() == first + second


@pytest.mark.parametrize("n_kept", [1, 60, -1])
def test_a_torn_line_of_another_process_is_cut_off(n_kept, path, monkeypatch):
    monkeypatch.setattr(results, "LAST_BYTES", 16)
    content = path.read_bytes()
    file = ResultsFile(path)
    torn = content.splitlines()[0][:n_kept]
    path.write_bytes(content + torn)  # the other process was killed
    file.add(record(seed=2))
    assert read_results(path) == [record(seed=seed) for seed in range(3)]


def test_several_processes_write_to_one_file(tmp_path):
    path = tmp_path / "results.jsonl"
    code = (
        "import sys; from result_records import record\n"
        "from fei_sklearn.evaluation.results import ResultsFile\n"
        "for seed in range(int(sys.argv[2]), int(sys.argv[2]) + 200):\n"
        "    ResultsFile(sys.argv[1]).add(record(seed=seed))"
    )
    commands = [[sys.executable, "-c", code, str(path), str(first)] for first in (0, 200, 400)]
    environment = os.environ | {"PYTHONPATH": python_path()}
    writers = [subprocess.Popen(command, env=environment) for command in commands]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert sorted(found["seed"] for found in read_results(path)) == list(range(600))


def test_a_record_that_does_not_fit_on_the_disk_leaves_the_file_alone(path, monkeypatch):
    content = path.read_bytes()
    file = ResultsFile(path)

    def fail(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        file.add(record(seed=2))
    assert path.read_bytes() == content


def test_a_whole_last_line_without_its_end_is_completed(path):
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert len(ResultsFile(path).records) == 2
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [
        b"not a result\n",
        b"PK\x03\x04",
        b'{"format": "other"}\n',
        b"[" * 100_000,
    ],
)
def test_another_file_is_left_alone(content, path):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"Line 1 of .* is not a result of evaluate"):
        ResultsFile(path)
    assert path.read_bytes() == content


def test_a_torn_line_in_the_middle_is_an_error(path):
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first[:40] + b"\n" + second)
    with pytest.raises(ValueError, match="Line 1 of"):
        read_results(path)


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no results file"):
        read_results(tmp_path / "absent.jsonl")
    with pytest.raises(ValueError, match="cannot be written"):
        ResultsFile(tmp_path / "absent" / "results.jsonl")
