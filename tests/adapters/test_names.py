"""Columns by name: known positions, and the names in the messages."""

from __future__ import annotations

import pytest

from fei_sklearn.adapters._names import positions_by_name


@pytest.mark.parametrize(
    ("fitted", "given", "positions"),
    [
        (["u", "v"], ["u", "v"], [0, 1]),
        (["u", "v", "w"], ["w", "u", "v"], [1, 2, 0]),
        ([0, 1], [1, 0], [1, 0]),
        (["u", "v"], [0, 1], [0, 1]),  # an array has no names
        ([0, 1], ["u", "v"], [0, 1]),
        ([2, 1], [1, 2], [1, 0]),
        ([], [], []),
    ],
)
def test_positions_are_those_of_the_names(fitted, given, positions):
    assert positions_by_name(fitted, given).tolist() == positions


@pytest.mark.parametrize(
    ("fitted", "given", "sentence"),
    [
        (["u", "v"], ["u"], r"X lacks \['v'\], which fit saw: give the columns \['u', 'v'\]"),
        (["u"], ["u", "w"], r"X has \['w'\], which fit did not see: give"),
        (["u", "v"], ["u", "w"], r"X lacks \['v'\], which fit saw and has \['w'\], which fit"),
        ([0, 1], [1, 2], r"X lacks \[0\], which fit saw and has \[2\]"),
        (["u", "v"], [0], r"X has 1 columns, but fit saw 2: give \['u', 'v'\]"),
        (["u", "v"], ["u", "u"], "X has 2 columns 'u': give each its own name"),
    ],
)
def test_other_names_are_named(fitted, given, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        positions_by_name(fitted, given)
