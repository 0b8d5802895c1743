"""`fei-sklearn evaluate`: its results, killed runs, and failed sets."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import numpy as np
from tiny_sets import arrays

from fei_sklearn.evaluation import read_results


def test_results_progress_and_summary(model, data, command):
    options = "--data data --out r.jsonl --head ridge --sets one"
    for arguments in ("model", "random --encoder 16 --set pooling=mean", "raw"):
        done = command(f"evaluate {arguments} {options} target")
        assert done.code == 0
        assert len(done.err.splitlines()) == 2
        assert done.err.startswith("[1/2] one, ")
        assert "probe, classification" in done.out
        assert "probe, regression" in done.out
    done = command(f"evaluate model {options} t*")
    assert len(done.err.splitlines()) == 1  # the file has the others
    assert len(read_results("r.jsonl")) == 7


def test_few_labels(data, command):
    options = "--data data --out r.jsonl --sets one target --labels 1 3 --seeds 0 1"
    done = command(f"evaluate raw {options}")
    assert done.code == 0, done.err
    assert done.err.startswith("[1/8] one, raw, labels 1, seed 0: accuracy ")
    assert "labels per class: 3" in done.out
    assert "labels in all: 3" in done.out


def test_a_study(data, command, small):
    options = f"--pretrain-on one --data data --sets t*o --out r.jsonl --head ridge {small}"
    done = command(f"evaluate --study masking {options}")
    assert done.code == 0, done.err
    assert len(done.err.splitlines()) == 3
    records = read_results("r.jsonl")
    assert {record["set"] for record in records} == {"two"}
    variants = {record["variant"] for record in records}
    assert variants == {"discrete", "continuous", "temporal"}


# Kills the process in the middle of the third line.
KILLED = """
import os, signal, sys
from fei_sklearn.cli import main
from fei_sklearn.evaluation.results import ResultsFile

def add(self, record, original=ResultsFile.add):
    original(self, record)
    if len(self.records) == 2:
        with open(self.path, "ab") as file:
            file.write(b'{"format": "fei_sklearn.evalu')
            file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

ResultsFile.add = add
main(sys.argv[1:])
"""


def test_a_killed_run_goes_on_where_it_stopped(data, command):
    arguments = (
        "evaluate random --encoder 16 --set pooling=mean --data data --out r.jsonl "
        "--task classification --seeds 0 1 --head ridge"
    )
    process = [sys.executable, "-c", KILLED, *arguments.split()]
    killed = subprocess.run(process, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    before = read_results("r.jsonl")
    assert len(before) == 2
    done = command(arguments)
    assert done.code == 0
    assert len(done.err.splitlines()) == 2
    lines = (data.parent / "r.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert records[:2] == before
    cells = [f"{record['set']}, seed {record['seed']}" for record in records]
    assert cells == ["one, seed 0", "one, seed 1", "two, seed 0", "two, seed 1"]


def test_a_failed_set_is_named_and_the_others_go_on(model, data, command):
    (data / "bad.npz").write_bytes(b"PK damaged")
    options = "--data data --out r.jsonl --head ridge"
    done = command(f"evaluate model {options} --sets bad one absent")
    assert done.code == 1
    lines = done.err.splitlines()
    named = [line for line in lines if line.startswith("fei-sklearn: bad: ")]
    assert len(named) == 1
    assert lines[-1] == "fei-sklearn: 2 failed: bad; absent"
    assert [record["set"] for record in read_results("r.jsonl")] == ["one"]
    assert "one" in done.out


def test_a_damaged_file_among_all_sets_is_named_and_the_others_go_on(model, data, command):
    content = (data / "one.npz").read_bytes()
    (data / "bad.npz").write_bytes(content[:-100])
    options = "--data data --out r.jsonl --head ridge"
    done = command(f"evaluate model {options} --task classification --quiet")
    assert done.code == 1
    first_line = done.err.splitlines()[0]
    assert first_line.startswith("fei-sklearn: bad: ")
    assert "bad.npz is damaged" in first_line
    assert {record["set"] for record in read_results("r.jsonl")} == {"one", "two"}


def test_own_folders_and_tables_are_found(data, command):
    content = arrays()
    folder = data / "Pumps"
    folder.mkdir()
    for part in ("train", "test"):
        X = content[f"X_{part}"][:, 0]
        table = np.column_stack([content[f"y_{part}"], X])
        np.savetxt(folder / f"Pumps_{part.upper()}.tsv", table, delimiter="\t")
        header = ",".join(["state", *(f"t{i}" for i in range(X.shape[1]))])
        path = data / f"Table_{part.upper()}.csv"
        whole = ["%d"] + ["%.18e"] * X.shape[1]
        np.savetxt(path, table, whole, delimiter=",", header=header, comments="")
    options = "--task classification --out results.jsonl"
    done = command(f"evaluate raw --data data --label state {options}")
    assert done.code == 0, done.err
    found = {record["set"]: record for record in read_results("results.jsonl")}
    assert sorted(found) == ["Pumps", "Table", "one", "two"]
    for name in ("Pumps", "Table"):
        assert found[name]["metrics"] == found["one"]["metrics"]
