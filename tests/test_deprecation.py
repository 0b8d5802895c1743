"""Renamed arguments warn, and do what they did."""

from __future__ import annotations

import inspect
import warnings

import pytest

from fei_sklearn._deprecation import renamed_argument
from fei_sklearn.training import train


@renamed_argument("size", "width", removed_in="0.3")
def area(height, *, width=1):
    """Return the area of a rectangle."""
    return height * width


def test_present_name_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert area(2, width=3) == 6
        assert area(2) == 2


def test_former_name_warns_at_the_callers_line_and_works():
    with pytest.warns(FutureWarning, match=r"'size' of area\(\).*'width'.*version 0\.3") as caught:
        assert area(2, size=3) == 6
    assert caught[0].filename == __file__


def test_both_names_are_refused():
    with pytest.raises(TypeError, match=r"area\(\) got both 'width' and its former name 'size'"):
        area(2, width=3, size=3)


def test_signature_and_documentation_stay():
    assert list(inspect.signature(area).parameters) == ["height", "width"]
    assert area.__doc__ == "Return the area of a rectangle."


def test_train_accepts_the_former_name_of_the_run_folder():
    with (
        pytest.warns(FutureWarning, match="'checkpoints'"),
        pytest.raises(TypeError, match="missing 3 required positional arguments"),
    ):
        train(checkpoints=None)
