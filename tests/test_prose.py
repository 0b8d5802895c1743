"""Docstrings, comments and documentation keep to the project's style where a test can tell."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

SOURCES = [
    *sorted((ROOT / "fei_sklearn").rglob("*.py")),
    *sorted((ROOT / "benchmarks").rglob("*.py")),
    *sorted((ROOT / "examples").rglob("*.py")),
]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

#: First words of a docstring that say neither what is done nor what a thing is.
POOR_BEGINNINGS = ("What ", "Of ", "So many ", "As many ")

#: "a line a epoch" for "one line per epoch".
THINGS = r"(?:line|record|row|value|number|vector|feature|step|byte|MB|GB|kB|target|mask)s?"
UNITS = r"(?:series|epoch|step|channel|stage|view|feature|fit|batch|row|set|seed|class|second|core)"
RATE = re.compile(rf"\b{THINGS} an? {UNITS}\b")

#: Words of older English, and an ending that English sentences do not need.
ARCHAIC = re.compile(r"\b(?:anew|in vain|thereof|whereof|upon)\b|, too[.,;:]")

MAX_PAGE_LINE = 100

#: Beginnings of lines that Markdown cannot break: table rows, headings, pictures.
UNBREAKABLE = ("|", "#", "![")


def docstrings(path):
    """Yield the docstrings of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                yield docstring


def relative(path):
    """Return the path as it is shown in the name of a test."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_docstrings_begin_with_a_verb_or_a_noun(path):
    beginnings = [docstring.splitlines()[0] for docstring in docstrings(path)]
    poor = [line for line in beginnings if line.startswith(POOR_BEGINNINGS)]
    assert poor == []


@pytest.mark.parametrize("path", [*SOURCES, *PAGES], ids=relative)
def test_rates_are_per_unit(path):
    text = path.read_text(encoding="utf-8")
    assert RATE.findall(text) == []


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_sources_are_in_modern_english(path):
    text = path.read_text(encoding="utf-8")
    assert ARCHAIC.findall(text) == []


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_lines_of_pages_are_short(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    prose = [line for line in lines if not line.lstrip().startswith(UNBREAKABLE)]
    long_lines = [line for line in prose if len(line) > MAX_PAGE_LINE]
    assert long_lines == []


def test_the_rules_find_what_they_are_for():
    assert RATE.search("Prints a line a epoch.")
    assert RATE.search("one record an epoch")
    assert not RATE.search("one record per epoch")
    assert "What times the distance.".startswith(POOR_BEGINNINGS)
    assert ARCHAIC.search("It is drawn anew.")
    assert ARCHAIC.search("Panels, too.")
    assert not ARCHAIC.search("Panels that are too long, too many of them.")
