"""Columns of frames: repeated names and text are found by name, in every kind of frame."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from panels import fast, noise

from fei_sklearn import FEIRegressor
from fei_sklearn._input.columns import column_names, refuse_repeated, refuse_text

X = pd.DataFrame(noise(8, 5), columns=list("abcde"))
WITH_TEXT = X.assign(state=["1.5", "walk"] * 4)
KINDS = [pd.DataFrame, pl.from_pandas, pa.Table.from_pandas]


@pytest.mark.parametrize("convert", KINDS, ids=["pandas", "polars", "Arrow"])
def test_text_is_found_by_its_column(convert):
    frame = convert(WITH_TEXT)
    assert column_names(frame) == [*"abcde", "state"]
    message = r"^X has the text 'walk' in column 'state': give columns of numbers"
    with pytest.raises(ValueError, match=message):
        refuse_text(frame, "X")
    with pytest.raises(ValueError, match=message):
        fast(max_epochs=0).fit(frame)


def test_text_of_numbers_and_other_containers_pass():
    refuse_text(X.astype(str), "X")
    refuse_text(X.to_numpy(), "X")
    refuse_text(["walk"], "X")


def test_a_repeated_name_is_refused():
    with pytest.raises(ValueError, match=r"^X has 3 columns 'a': give each its own name\.$"):
        refuse_repeated(["b", "a", "a", "a"], "X")
    repeated = X.set_axis(list("abcda"), axis=1)
    with pytest.raises(ValueError, match=r"^X has 2 columns 'a'"):
        fast(max_epochs=0).fit(repeated)
    with pytest.raises(ValueError, match=r"^y has 2 columns 'a'"):
        FEIRegressor(fast(max_epochs=0), max_epochs=0).fit(np.asarray(X), repeated)
