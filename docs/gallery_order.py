"""Order of the examples in the gallery: what most readers ask comes first."""

from __future__ import annotations

FIRST = ("plot_quickstart.py", "plot_few_labels.py")


def place(filename: str) -> tuple[int, str]:
    """Return the sorting key of an example: those of `FIRST`, then the others by name."""
    if filename in FIRST:
        return FIRST.index(filename), filename
    return len(FIRST), filename
