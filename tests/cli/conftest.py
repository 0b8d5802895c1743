"""Fixtures of the command: a folder of sets, a saved model, and the command itself."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from quick import quick
from tiny_sets import arrays, sines, write

from fei_sklearn.cli import main


class Done(NamedTuple):
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Folder "data" of three sets, in a new working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder, "one")
    write(folder, "two", arrays(n_channels=2))
    write(folder, "target", arrays(regression=True))
    return folder


@pytest.fixture(scope="session")
def trained():
    """Embedder of two statistics."""
    X, _ = sines(20)
    embedder = quick(max_epochs=1, pooling=("mean", "ppv"), layers="last")
    return embedder.fit(X)


@pytest.fixture
def model(trained, data):
    """Embedder saved in the folder "model"."""
    trained.save("model")
    return trained


@pytest.fixture
def command(capsys):
    """Function that runs the command with the arguments of a text."""

    def run(text):
        try:
            code = main(text.split())
        except SystemExit as leaving:
            code = leaving.code
        shown = capsys.readouterr()
        return Done(code, shown.out, shown.err)

    return run


@pytest.fixture
def small():
    """Options of a narrow embedder that trains for one epoch."""
    return "--encoder 16 --epochs 1 --set min_epoch_steps=1 --set pooling=mean"
