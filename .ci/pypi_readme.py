"""Make the README's links absolute, as PyPI shows the README without the repository.

Usage: python .ci/pypi_readme.py TAG, before the package is built. The README changes in place.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

FILES = "https://github.com/fei-sklearn/fei-sklearn/blob"
PICTURES = "https://raw.githubusercontent.com/fei-sklearn/fei-sklearn"
RELATIVE = re.compile(r"\]\((?!https?:|#)([^)\s]+)\)")


def absolute(text: str, tag: str) -> str:
    """Return Markdown whose relative links lead to the files of a tag."""

    def link(match: re.Match[str]) -> str:
        path = match[1]
        base = PICTURES if path.endswith((".png", ".svg")) else FILES
        return f"]({base}/{tag}/{path})"

    return RELATIVE.sub(link, text)


if __name__ == "__main__":
    readme = Path(__file__).parent.parent / "README.md"
    text = readme.read_text(encoding="utf-8")
    readme.write_text(absolute(text, sys.argv[1]), encoding="utf-8")
