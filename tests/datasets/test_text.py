"""Tables of numbers in text files."""

from __future__ import annotations

import numpy as np
import pytest

from fei_sklearn.datasets._text import read_table


def test_a_table_is_read_with_two_dimensions(tmp_path):
    path = tmp_path / "table.txt"
    path.write_text("1 2.5\n-3 nan\n")
    np.testing.assert_array_equal(read_table(path), [[1, 2.5], [-3, np.nan]])
    path.write_text("4\n")
    np.testing.assert_array_equal(read_table(path), [[4]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"table\.txt is empty"),
        ("1 2\n3\n", r"table\.txt is damaged or cut short"),
        ("1 x\n", r"table\.txt is damaged or cut short"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, content, message):
    path = tmp_path / "table.txt"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_table(path)


def test_a_missing_table_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no table\.txt in"):
        read_table(tmp_path / "table.txt")
