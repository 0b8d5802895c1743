"""The report: a verdict, a table of the parts, and a section for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

PASSED = "passed"
FAILED = "failed"
NOT_HERE = "not on this device"


@dataclass(frozen=True)
class Outcome:
    """Outcome of a part.

    Attributes
    ----------
    title : str
        Heading of its section.
    verdict : str
        "passed", "failed" or "not on this device".
    text : str
        Markdown of its section.
    seconds : float
        Time that it took.
    """

    title: str
    verdict: str
    text: str
    seconds: float


def markdown(outcomes: Sequence[Outcome], device: str) -> str:
    """Return the report."""
    lines = ["# Report of `make gpu`", ""]
    if device == "cpu":
        lines += ["**A rehearsal on the CPU: nothing below was measured on an accelerator.**", ""]
    lines += [verdict_line(outcomes), "", "| Part | Verdict | Seconds |", "|---|---|---:|"]
    for outcome in outcomes:
        lines.append(f"| {outcome.title} | {outcome.verdict} | {outcome.seconds:.1f} |")
    for outcome in outcomes:
        lines += ["", f"## {outcome.title}", ""]
        if outcome.verdict == FAILED:
            lines += ["**Failed.**", ""]
        lines.append(_without_paths(outcome.text.strip()))
    return "\n".join(lines) + "\n"


def verdict_line(outcomes: Sequence[Outcome]) -> str:
    """Return one paragraph: how many parts passed, and which did not."""
    sentences = []
    n_passed = sum(outcome.verdict == PASSED for outcome in outcomes)
    sentences.append(f"{n_passed} of {len(outcomes)} parts passed.")
    for verdict in (FAILED, NOT_HERE):
        titles = [outcome.title for outcome in outcomes if outcome.verdict == verdict]
        if titles:
            sentences.append(f"{verdict.capitalize()}: {', '.join(titles)}.")
    return " ".join(sentences)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table of Markdown, its first column to the left and the others to the right."""
    alignment = ["---", *["---:"] * (len(head) - 1)]
    lines = []
    for cells in (head, alignment, *rows):
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def _without_paths(text: str) -> str:
    """Return a text without the paths of this machine."""
    return text.replace(f"{ROOT}/", "").replace(str(Path.home()), "~")
