"""Lines that a fit prints with `verbose`."""

from __future__ import annotations

import re

import pytest
from quick import quick, walks

from fei_sklearn._fitting.printing import duration


@pytest.mark.parametrize(
    ("verbose", "epochs"),
    [(1, [1, 2, 3, 4, 5]), (2, [1, 2, 4, 5]), (10, [1, 5]), (True, [1, 2, 3, 4, 5])],
)
def test_progress_has_a_line_for_some_epochs(verbose, epochs, capfd):
    embedder = quick(verbose=verbose, max_epochs=5, n_iter_no_change=None).fit(walks())
    shown = capfd.readouterr()
    lines = shown.out.splitlines()
    assert shown.err == ""
    assert [int(re.match(r"\[FEIEmbedder\] epoch (\d)/5 ", line)[1]) for line in lines] == [*epochs]
    for line in lines:
        assert re.search(r"lr \d\.\d\de[-+]\d\d  \d+\.\d\d s/epoch  at most \d+ s left$", line)
    last = embedder.history_[-1]
    assert f"train_loss {last['train_loss']:.4f}" in lines[-1]
    assert f"valid_loss {last['valid_loss']:.4f}" in lines[-1]
    assert lines[-1].endswith("at most 0 s left")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3600, "1 h 00 min"),
        (7384, "2 h 03 min"),
    ],
)
def test_durations(seconds, shown):
    assert duration(seconds) == shown
