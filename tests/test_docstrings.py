"""Docstrings of public names follow numpydoc."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

validation = pytest.importorskip("numpydoc.validate")

API = Path(__file__).parent.parent / "docs" / "api.rst"

#: Checks that do not hold everywhere: extended summaries, examples and cross references; parameters
#: that share a line, such as "device, encoder"; dataclasses that document their attributes.
NOT_EVERYWHERE = {"ES01", "EX01", "PR01", "PR04", "SA01"}

#: Checks that hold for what users meet first.
OF_ESTIMATORS = {"EX01", "SA01"}


def public_names():
    """Return the names on the API page, with their modules."""
    names = []
    module = ""
    for line in API.read_text(encoding="utf-8").splitlines():
        if line.startswith(".. currentmodule::"):
            module = line.split()[-1]
        elif re.fullmatch(r"   [\w.]+", line):
            names.append(f"{module}.{line.strip()}")
    return names


NAMES = public_names()
#: Constants have comments in place of docstrings.
DOCUMENTED = [name for name in NAMES if not name.rpartition(".")[2].isupper()]
FIRST_MET = [
    name
    for name in DOCUMENTED
    if "adapters" in name or re.search(r"^fei_sklearn\.(displays\.|FEI)", name)
]


def errors_of(name, ignored):
    found = validation.validate(name)["errors"]
    return [error for error in found if error[0] not in ignored]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_docstrings_follow_numpydoc(name):
    assert errors_of(name, NOT_EVERYWHERE) == []


@pytest.mark.parametrize("name", FIRST_MET)
def test_estimators_have_examples_and_cross_references(name):
    assert errors_of(name, NOT_EVERYWHERE - OF_ESTIMATORS) == []


def test_the_page_has_names():
    assert len(DOCUMENTED) > 40
    assert "fei_sklearn.FEIEmbedder" in FIRST_MET
