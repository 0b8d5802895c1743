"""The code of README and documentation runs, page by page, as a reader would run it.

A block that cannot run anywhere has a comment above it, `<!-- not run: the reason -->`.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SCRIPT = re.compile(r"\b(?:tests|benchmarks|examples|fei_sklearn)/[\w./-]+\.py\b")
BLOCK = re.compile(r"(<!-- not run: [^>]+-->\n+)?```python\n(.*?)```", re.DOTALL)


def blocks(page):
    """Return the line and the code of each block of a page that can run."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in BLOCK.finditer(text):
        reason, code = match.groups()
        if reason is None:
            line = text[: match.start(2)].count("\n")
            found.append((line, code))
    return found


def relative(page):
    return page.relative_to(ROOT).as_posix()


WITH_CODE = [page for page in PAGES if blocks(page)]


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_CODE, ids=relative)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict = {}
    for line, code in blocks(page):
        # the lines of a traceback are those of the page
        source = "\n" * line + code
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of toolkits
            exec(compile(source, str(page), "exec"), namespace)
    if page.name == "README.md":
        (printed,) = re.findall(r"accuracy = .*# ([0-9.]+);", page.read_text(encoding="utf-8"))
        assert abs(namespace["accuracy"] - float(printed)) < 0.01


def test_most_pages_of_the_guide_have_code():
    guides = [page for page in WITH_CODE if page.parent.name == "guide"]
    assert len(guides) >= 10
    assert ROOT / "README.md" in WITH_CODE


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_scripts_that_a_page_names_exist(page):
    named = set(SCRIPT.findall(page.read_text(encoding="utf-8")))
    missing = sorted(path for path in named if not (ROOT / path).is_file())
    assert missing == []
