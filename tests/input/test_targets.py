"""Targets: the same from any container, and refused where some of them are none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from panels import fast, noise

from fei_sklearn import FEIClassifier, FEIRegressor
from fei_sklearn._input.targets import plain_targets, plain_weights

X = noise(8, 20)
NUMBERS = np.arange(8.0)
MASKED = np.ma.array(NUMBERS, mask=NUMBERS == 3)


def tuner(kind):
    return kind(fast(max_epochs=0), max_epochs=0)


@pytest.mark.parametrize("kind", [FEIClassifier, FEIRegressor])
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (MASKED, r"y is a masked array with 1 masked values.*y\[~y.mask\]"),
        (pd.Series([1, 0, pd.NA, 1, 0, 1, 0, 1], dtype="Int64"), r"y\[2\] is <NA>"),
        (np.array([1, 0, 1, pd.NA, 0, 1, 0, 1], dtype=object), r"y\[3\] is <NA>"),
        ([1.0, 0.0, None, 1.0, 0.0, 1.0, 0.0, 1.0], r"y\[2\] is None"),
        ("labels", "y is the string 'labels'"),
        (None, "y to be passed"),
    ],
    ids=["masked", "nullable", "NA", "None in a list", "string", "None"],
)
def test_targets_that_are_none_are_refused(kind, y, message):
    model = tuner(kind)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "embedder_")


@pytest.mark.parametrize(
    "y",
    [
        np.arange(8).astype("datetime64[D]"),
        np.arange(8).astype("timedelta64[s]"),
        pd.Series(pd.date_range("2026-01-01", periods=8)),
        list(pd.date_range("2026-01-01", periods=8)),
    ],
    ids=["dates", "durations", "pandas", "list"],
)
def test_dates_are_no_numeric_targets(y):
    with pytest.raises(TypeError, match="y holds dates or durations"):
        tuner(FEIRegressor).fit(X, y)


@pytest.mark.parametrize(
    "y",
    [
        torch.tensor(NUMBERS, requires_grad=True),
        torch.tensor(NUMBERS).bfloat16(),
        np.ma.array(NUMBERS),
        pd.Series(NUMBERS, dtype="Float64"),
        NUMBERS.tolist(),
        NUMBERS.astype(object),
    ],
    ids=["gradient", "bfloat16", "nothing masked", "nullable", "list", "objects"],
)
def test_any_container_of_targets_is_as_good_as_an_array(y):
    expected = tuner(FEIRegressor).set_params(random_state=0).fit(X, NUMBERS).predict(X)
    got = tuner(FEIRegressor).set_params(random_state=0).fit(X, y).predict(X)
    np.testing.assert_array_equal(got, expected)


def test_labels_of_any_kind_stay_as_they_are():
    for labels in (["b", "a"], np.array(["b", "a"], dtype=object), pd.Series([1, 2])):
        assert plain_targets(labels, numeric=False) is labels


@pytest.mark.parametrize("y", [["a", 1] * 4, np.array([True, "b"] * 4, dtype=object)])
def test_labels_of_text_and_of_other_types_are_refused(y):
    with pytest.raises(TypeError, match=r"^y has the text '[ab]' as well as (1|True), a "):
        tuner(FEIClassifier).fit(X, y)


def test_weights_that_are_none_are_refused():
    with pytest.raises(
        ValueError, match=r"sample_weight .* 1 masked values: give sample_weight\.filled"
    ):
        tuner(FEIRegressor).fit(X, NUMBERS, sample_weight=MASKED)
    with pytest.raises(TypeError, match="sample_weight holds dates or durations"):
        tuner(FEIClassifier).fit(X, NUMBERS, sample_weight=np.arange(8).astype("m8[s]"))
    assert plain_weights(np.ma.array(NUMBERS)) is not None
    gradient = torch.from_numpy(NUMBERS).requires_grad_()
    np.testing.assert_array_equal(plain_weights(gradient), NUMBERS)
