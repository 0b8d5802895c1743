"""Constructors with the parameters of another estimator."""

from __future__ import annotations

import inspect

import pytest
from sklearn.linear_model import Ridge

from fei_sklearn.adapters._parameters import parameters_of


@parameters_of(Ridge, without=("solver", "positive"))
class Adapter:
    """Adapter of nothing."""


def test_the_signature_is_that_of_the_estimator():
    expected = dict(inspect.signature(Ridge).parameters)
    del expected["solver"]
    del expected["positive"]
    assert dict(inspect.signature(Adapter).parameters) == expected


def test_parameters_are_stored_with_the_estimators_defaults():
    adapter = Adapter(2.0, tol=0.5)
    assert vars(adapter) == {
        "alpha": 2.0,
        "fit_intercept": True,
        "copy_X": True,
        "max_iter": None,
        "tol": 0.5,
        "random_state": None,
    }


def test_other_arguments_are_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'solver'"):
        Adapter(solver="svd")
    with pytest.raises(TypeError, match="too many positional arguments"):
        Adapter(1.0, True)
