"""The package `fei_sklearn.evaluation`: public names, loaded on first use."""

from __future__ import annotations

import pytest
from quick import run_python

from fei_sklearn import evaluation


def test_public_names_are_found():
    for name in evaluation.__all__:
        assert name in dir(evaluation)
        assert getattr(evaluation, name) is not None


def test_other_names_are_not_found():
    with pytest.raises(AttributeError, match="no attribute 'evaluated'"):
        evaluation.evaluated  # noqa: B018


def test_choices_and_studies_need_neither_torch_nor_scikit_learn():
    code = (
        "import sys\n"
        "import fei_sklearn.evaluation.choices\n"
        "from fei_sklearn.evaluation import STUDIES\n"
        "print({'torch', 'sklearn'} & set(sys.modules))"
    )
    assert run_python(code) == "set()\n"
