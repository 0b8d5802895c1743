"""The tables of README and documentation are those that their records make."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITH_TABLES = [page for page in PAGES if "<!-- table: " in page.read_text(encoding="utf-8")]


def relative(page):
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("tables")


@pytest.mark.parametrize("page", WITH_TABLES, ids=relative)
def test_the_tables_of_a_page_are_those_of_the_records(page, tables):
    text = page.read_text(encoding="utf-8")
    assert tables.with_tables(text) == text, "run `python benchmarks/tables.py`"


@pytest.mark.parametrize("page", WITH_TABLES, ids=relative)
def test_every_beginning_of_a_table_has_an_end(page, tables):
    text = page.read_text(encoding="utf-8")
    assert len(tables.BLOCK.findall(text)) == text.count("<!-- table: ")


def test_a_changed_figure_is_found(tables):
    text = (ROOT / "docs" / "benchmarks" / "heads.md").read_text(encoding="utf-8")
    (accuracy,) = re.findall(r"\| ridge \| (0\.\d+) \|", text)
    changed = text.replace(f"| ridge | {accuracy} |", "| ridge | 0.9999 |")
    assert changed != text
    assert tables.with_tables(changed) == text


def test_every_table_stands_in_a_page(tables):
    texts = [page.read_text(encoding="utf-8") for page in WITH_TABLES]
    used = set(re.findall(r"<!-- table: (\w+) -->", "".join(texts)))
    assert used == set(tables.TABLES)


def test_every_record_is_listed_with_its_page():
    results = ROOT / "docs" / "results"
    listed = re.findall(r"\]\((\w+\.jsonl)\)", (results / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(path.name for path in results.glob("*.jsonl"))
