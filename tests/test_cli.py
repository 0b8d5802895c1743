"""The command: what it writes and where, its exit codes, and a run that is killed."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from quick import quick, run_python, walks
from tiny_sets import arrays, sines, write

from fei_sklearn import FEIEmbedder, __version__
from fei_sklearn.cli import main
from fei_sklearn.evaluation import read_results

SMALL = ("--encoder", "16", "--epochs", "1", "--set", "min_epoch_steps=1", "--set", "pooling=mean")


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder, "one")
    write(folder, "two", arrays(n_channels=2))
    write(folder, "target", arrays(regression=True))
    return folder


@pytest.fixture(scope="module")
def trained():
    return quick(max_epochs=1, pooling=("mean", "ppv"), layers="last").fit(sines(20)[0])


@pytest.fixture
def model(trained, data):
    trained.save("model")
    return "model"


def run(capsys, *argv):
    """Exit code, stdout and stderr."""
    try:
        code = main([str(arg) for arg in argv])
    except SystemExit as leaving:
        code = leaving.code
    shown = capsys.readouterr()
    return code, shown.out, shown.err


# Help


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


def test_python_m():
    done = subprocess.run([sys.executable, "-m", "fei_sklearn"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: fei-sklearn")


# The four commands


def test_pretrain_saves_what_fit_gives(data, capsys):
    code, out, err = run(capsys, "pretrain", "one", "--data", data, "--out", "model",
                         *SMALL, "--set", "mask_ratio=0.0,0.5", "--seed", 3)  # fmt: skip
    assert code == 0
    assert out.startswith("model: 40 series, 1 epochs, valid_loss ")
    assert "[FEIEmbedder] epoch 1/1" in err
    loaded = FEIEmbedder.load("model")
    assert loaded.mask_ratio == (0.0, 0.5)
    X = arrays()["X_train"]
    params = {"max_epochs": 1, "min_epoch_steps": 1, "mask_ratio": (0.0, 0.5), "pooling": "mean"}
    same = FEIEmbedder(16, random_state=3, **params).fit(X)
    np.testing.assert_array_equal(loaded.transform(X), same.transform(X))


def test_embed_writes_the_embeddings_with_parts_and_labels(model, data, trained, capsys):
    assert run(capsys, "embed", model, "one", "--data", data, "--out", "e.npz")[0] == 0
    with np.load("e.npz", allow_pickle=False) as file:
        assert sorted(file) == ["embeddings", "part", "y"]
        content = arrays()
        X = np.concatenate([content["X_train"], content["X_test"]])
        np.testing.assert_array_equal(file["embeddings"], trained.transform(X))
        assert file["part"].tolist() == ["train"] * 40 + ["test"] * 20
        assert file["y"].tolist() == [*content["y_train"], *content["y_test"]]

    code, out, err = run(capsys, "embed", model, data / "one.npz", "--out", "e.csv",
                         "--part", "test", "--pooling", "mean,max")  # fmt: skip
    assert (code, out, err) == (0, "e.csv: 20 embeddings of 32 features\n", "")
    with open("e.csv", newline="") as file:
        header, *lines = csv.reader(file)
    assert header[:3] == ["part", "y", "feiembedder0"]
    values = np.array([line[2:18] for line in lines], dtype=np.float32)
    np.testing.assert_array_equal(values, trained.transform(arrays()["X_test"])[:, :16])


def test_parquet(model, data, capsys):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    assert run(capsys, "embed", model, "one", "--data", data, "--out", "e.parquet")[0] == 0
    assert pandas.read_parquet("e.parquet").shape == (60, 2 + 16 + 5 * 16)


def test_evaluate_and_report(model, data, capsys):
    for arguments in ([model], ["random", "--encoder", "16", "--set", "pooling=mean"], ["raw"]):
        code, out, err = run(capsys, "evaluate", *arguments, "--data", data, "--out", "r.jsonl",
                             "--sets", "one", "target", "--head", "ridge")  # fmt: skip
        assert code == 0
        assert len(err.splitlines()) == 2
        assert err.startswith("[1/2] one, ")
        assert "probe, classification" in out
        assert "probe, regression" in out
    code, out, err = run(capsys, "evaluate", model, "--data", data, "--out", "r.jsonl",
                         "--sets", "one", "t*", "--head", "ridge")  # fmt: skip
    assert len(err.splitlines()) == 1  # the others are there already
    assert len(read_results("r.jsonl")) == 7
    code, out, err = run(capsys, "report", "r.jsonl", "--out", "report")
    assert (code, err) == (0, "")
    assert out.split() == ["report/report.md", "report/results.csv", "report/report.html"]
    assert "| set | model | random | raw |" in (data.parent / "report/report.md").read_text()


def test_a_study(data, capsys):
    code, _, err = run(capsys, "evaluate", "--study", "masking", "--pretrain-on", "one",
                         "--data", data, "--sets", "t*o", "--out", "r.jsonl", *SMALL)  # fmt: skip
    assert (code, len(err.splitlines())) == (0, 3), err
    assert {r["set"] for r in read_results("r.jsonl")} == {"two"}
    assert {r["variant"] for r in read_results("r.jsonl")} == {"discrete", "continuous", "temporal"}


# Killed, interrupted, failed


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


def test_a_killed_run_goes_on_where_it_stopped(data, capsys):
    command = ["evaluate", "random", *SMALL[:2], *SMALL[-2:], "--data", str(data),
               "--out", "r.jsonl", "--task", "classification", "--seeds", "0", "1"]  # fmt: skip
    killed = subprocess.run([sys.executable, "-c", KILLED, *command], capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    before = [r["metrics"] for r in read_results("r.jsonl")]
    assert len(before) == 2
    code, _, err = run(capsys, *command)
    assert (code, len(err.splitlines())) == (0, 2)
    lines = [json.loads(line) for line in (data.parent / "r.jsonl").read_text().splitlines()]
    assert [r["metrics"] for r in lines][:2] == before
    assert [(r["set"], r["seed"]) for r in lines] == [
        ("one", 0),
        ("one", 1),
        ("two", 0),
        ("two", 1),
    ]


def test_ctrl_c(model, data, capsys, monkeypatch):
    def interrupt(self, X):
        raise KeyboardInterrupt

    monkeypatch.setattr(FEIEmbedder, "transform", interrupt)
    code, out, err = run(capsys, "embed", model, "one", "--data", data, "--out", "e.npz")
    assert (code, out) == (130, "")
    assert "interrupted" in err
    assert not list(data.parent.glob("*e.npz*"))


def test_a_failed_set_is_named_and_the_others_go_on(model, data, capsys):
    (data / "bad.npz").write_bytes(b"PK damaged")
    code, out, err = run(capsys, "evaluate", model, "--data", data, "--out", "r.jsonl",
                         "--sets", "bad", "one", "absent")  # fmt: skip
    assert code == 1
    assert len([line for line in err.splitlines() if line.startswith("fei-sklearn: bad: ")]) == 1
    assert "absent" in err
    assert [r["set"] for r in read_results("r.jsonl")] == ["one"]
    assert "one" in out


def test_a_damaged_file_among_all_sets_is_named_and_the_others_go_on(model, data, capsys):
    (data / "bad.npz").write_bytes((data / "one.npz").read_bytes()[:-100])
    code, _, err = run(capsys, "evaluate", model, "--data", data, "--out", "r.jsonl",
                       "--task", "classification", "--quiet")  # fmt: skip
    assert code == 1
    assert err.splitlines()[0].startswith("fei-sklearn: bad: ") and "bad.npz is damaged" in err
    assert {r["set"] for r in read_results("r.jsonl")} == {"one", "two"}


@pytest.mark.parametrize("standardise", ["time-index", "model"])
def test_training_that_fails_leaves_nothing(standardise, data, capsys):
    content = arrays()
    content["X_train"][0] = np.inf
    write(data, "infinite", content)
    code, out, err = run(capsys, "pretrain", "infinite", "--data", data, "--out", "m",
                         "--standardise", standardise, *SMALL)  # fmt: skip
    assert (code, out) == (1, "")
    assert err.startswith("fei-sklearn: error: ") and "inf" in err
    assert not (data.parent / "m").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["pretrain", "nosuch", "--data", "data", "--out", "m"], "nosuch"),
        (["pretrain", "one", "--data", "data", "--out", "m", "--set", "depth"], "KEY=VALUE"),
        (["pretrain", "one", "--data", "data", "--out", "m", "--set", "depth=3"], "'depth'"),
        (["pretrain", "one", "--data", "data", "--out", "m", "--epochs", "-1"], "'max_epochs'"),
        (["pretrain", "one", "--data", "data", "--out", "data/one.npz"], "is a file"),
        (["pretrain", "one", "--data", "data", "--out", "m", "--device", "cuda:99"], "'cuda:99'"),
        (["embed", "model", "one", "--data", "data", "--out", "e.npz", "--device", "x"], "'x'"),
        (["evaluate", "model", "--data", "data", "--out", "r", "--device", "x"], "'x'"),
        (["embed", "nosuch", "one", "--data", "data", "--out", "e.npz"], "no model 'nosuch'"),
        (["embed", "data", "one", "--data", "data", "--out", "e.npz"], "no model in 'data'"),
        (["embed", "model", "one", "--data", "data", "--out", "e.xls"], "must end in"),
        (["embed", "model", "one", "--data", "data", "--out", "no/e.npz"], "no folder 'no'"),
        (["embed", "model", "one", "--data", "data", "--out", "e.npz", "--part", "val"], "val"),
        (["evaluate", "model", "--data", "nowhere", "--out", "r"], "no folder 'nowhere'"),
        (["evaluate", "model", "--data", "data", "--out", "no/r"], "cannot be written"),
        (["evaluate", "model", "--data", "data", "--out", "data/one.npz"], "is not a result"),
        (["evaluate", "model", "--data", "data", "--out", "r", "--set", "stride=1"], "'stride'"),
        (["evaluate", "--data", "data", "--out", "r"], "Neither a model nor a study"),
        (["evaluate", "raw", "--data", "data", "--out", "r", "--protocol", "linear"], "'raw'"),
        (["evaluate", "raw", "--data", "data", "--out", "r", "--protocol", "kNN"], "'kNN'"),
        (["report", "nosuch", "--out", "report"], "no results file 'nosuch'"),
        (["explain"], "'explain'"),
    ],
)
def test_bad_arguments(argv, message, model, data, capsys):
    before = sorted(data.parent.rglob("*"))
    code, out, err = run(capsys, *argv)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert [p for p in sorted(data.parent.rglob("*")) if p not in before] == []


def test_a_model_of_another_kind(model, data, capsys):
    config = data.parent / "model" / "config.json"
    config.write_text(config.read_text().replace("fei_sklearn", "other"))
    code, _, err = run(capsys, "embed", model, "one", "--data", data, "--out", "e.npz")
    assert code == 2
    assert "of another library" in err


def test_warnings_are_one_line(data, capsys, monkeypatch):
    import warnings

    def fit(self, X, y=None):
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.warn("two\nlines", stacklevel=1)
        return original(self, X)

    original = FEIEmbedder.fit
    monkeypatch.setattr(FEIEmbedder, "fit", fit)
    _, _, err = run(capsys, "pretrain", "one", "--data", data, "--out", "m", "--quiet", *SMALL)
    assert err == "fei-sklearn: warning: two lines\n"


def test_a_mixing_model_says_what_it_needs(data, capsys):
    quick(max_epochs=0, channels="mix").fit(walks()).save("mixing")
    code, _, err = run(capsys, "embed", "mixing", "one", "--data", data, "--out", "e.npz")
    assert code == 1
    assert "1 channels" in err
