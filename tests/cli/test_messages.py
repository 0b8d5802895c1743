"""Messages of the command."""

from __future__ import annotations

import pytest

from fei_sklearn.cli.messages import LONGEST, WorkError, complain, failing, sentence


def test_a_message_is_one_line():
    assert sentence(ValueError("two\n  lines")) == "two lines"
    assert sentence("text") == "str: text"


def test_unexpected_and_empty_errors_are_named_by_their_class():
    assert sentence(RuntimeError("no memory")) == "RuntimeError: no memory"
    assert sentence(ValueError()) == "ValueError"


def test_a_long_message_is_cut():
    assert sentence(ValueError("x" * 1000)) == "x" * LONGEST + " ..."


def test_messages_are_on_stderr(capsys):
    complain("something")
    assert capsys.readouterr() == ("", "fei-sklearn: something\n")


def test_errors_of_the_work_are_not_the_arguments_fault():
    with pytest.raises(WorkError, match=r"^RuntimeError: no memory$"), failing():
        raise RuntimeError("no memory")
    with pytest.raises(KeyError), failing():
        raise KeyError("a bug")
