"""The command as a whole: help, exit codes, interruptions, warnings and bad arguments."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from quick import run_python
from result_records import record
from tiny_sets import write

from fei_sklearn import FEIEmbedder, __version__, cli
from fei_sklearn.evaluation.results import ResultsFile


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_needs_no_torch(argument):
    code = (
        "import sys; from fei_sklearn.cli import main\n"
        f"try: main([{argument!r}])\n"
        "except SystemExit as leaving: print(leaving.code, {'torch', 'sklearn'} & {*sys.modules})"
    )
    shown = run_python(code)
    assert shown.endswith("0 set()\n")
    assert (__version__ if argument == "--version" else "evaluate") in shown


def test_ctrl_c(model, data, command, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("fei_sklearn._transform.plain_embeddings", interrupt)
    done = command("embed model one --data data --out e.npz")
    assert (done.code, done.out) == (130, "")
    assert "interrupted" in done.err
    assert not list(data.parent.glob("*e.npz*"))


def test_a_closed_stdout_ends_the_command(data):
    ResultsFile("r.jsonl").add(record())
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "fei_sklearn", "report", "r.jsonl", "--out", "report"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_warnings_are_one_line(data, command, small, monkeypatch):
    original = FEIEmbedder.fit

    def fit(embedder, X, y=None):
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.warn("two\nlines", stacklevel=1)
        return original(embedder, X)

    monkeypatch.setattr(FEIEmbedder, "fit", fit)
    done = command(f"pretrain one --data data --out m --quiet {small}")
    assert done.err == "fei-sklearn: warning: two lines\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["embed", "", "x.csv", "--out", "e.npz"], "argument model is empty"),
        (["embed", "default", "", "--out", "e.npz"], "argument dataset is empty"),
        (["pretrain", "x.csv", "--out", ""], "argument out is empty"),
        (["embed", "m", "d", "--out", "e.npz", "--n-devices", "0"], "at least 1, or auto, not '0'"),
        (["embed", "m", "d", "--out", "e.npz", "--n-devices", "x"], "at least 1, or auto, not 'x'"),
    ],
)
def test_an_argument_that_cannot_be_meant_is_refused(line, message, capsys):
    with pytest.raises(SystemExit) as leaving:
        cli.main(line)
    assert leaving.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("standardise", ["time-index", "model"])
def test_training_that_fails_leaves_nothing(standardise, data, command, small):
    with np.load(data / "one.npz") as file:
        content = dict(file)
    content["X_train"][0] = np.inf
    write(data, "infinite", content)
    options = f"--data data --out m --standardise {standardise} {small}"
    done = command(f"pretrain infinite {options}")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("fei-sklearn: error: ")
    assert "inf" in done.err
    assert not (data.parent / "m").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("pretrain nosuch --data data --out m", "nosuch"),
        ("pretrain one --data data --out m --set depth", "KEY=VALUE"),
        ("pretrain one --data data --out m --set depth=3", "'depth'"),
        ("pretrain one --data data --out m --epochs -1", "'max_epochs'"),
        ("pretrain one --data data --out data/one.npz", "is a file"),
        ("pretrain one --data data --out m --device cuda:99", "'cuda:99'"),
        ("pretrain one --data data --out m --recipe fei-tiny", "either DATA"),
        ("pretrain --out m", "either DATA"),
        ("embed model one --data data --out e.npz --device x", "'x'"),
        ("embed nosuch one --data data --out e.npz", "no model 'nosuch'"),
        ("embed data one --data data --out e.npz", "no model in 'data'"),
        ("embed model one --data data --out e.xls", "must end in"),
        ("embed model one --data data --out no/e.npz", "no folder 'no'"),
        ("embed model one --data data --out e.npz --part val", "val"),
        ("evaluate model --data data --out r --device x", "'x'"),
        ("evaluate model --data nowhere --out r", "no folder 'nowhere'"),
        ("evaluate model --data data --out no/r", "cannot be written"),
        ("evaluate model --data data --out data/one.npz", "is not a result"),
        ("evaluate model --data data --out r --set stride=1", "'stride'"),
        ("evaluate --data data --out r", "Neither a model nor a study"),
        ("evaluate raw --data data --out r --protocol linear", "'raw'"),
        ("evaluate raw --data data --out r --protocol kNN", "'kNN'"),
        ("report nosuch --out report", "no results file 'nosuch'"),
        ("explain", "'explain'"),
    ],
)
def test_bad_arguments(arguments, message, model, data, command):
    before = set(data.parent.rglob("*"))
    done = command(arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "Traceback" not in done.err
    assert set(data.parent.rglob("*")) == before


def test_all_commands_have_a_parser():
    for name in ("pretrain", "embed", "evaluate", "report"):
        with pytest.raises(SystemExit) as leaving:
            cli.main([name, "--help"])
        assert leaving.value.code == 0
