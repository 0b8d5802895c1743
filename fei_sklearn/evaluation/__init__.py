"""The paper's evaluation: linear, fine-tuned and probed, cell by cell into a file of results.

`evaluate` measures a model on sets, `read_results` reads what it wrote, and `write_report` makes
tables of it. The command ``fei-sklearn`` is a thin layer over these.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fei_sklearn.evaluation.report import write_report
    from fei_sklearn.evaluation.results import read_results
    from fei_sklearn.evaluation.runner import evaluate
    from fei_sklearn.evaluation.studies import STUDIES

#: Public name -> module. Loaded on first use, so that a command's help need not wait.
_PUBLIC = {
    "STUDIES": "fei_sklearn.evaluation.studies",
    "evaluate": "fei_sklearn.evaluation.runner",
    "read_results": "fei_sklearn.evaluation.results",
    "write_report": "fei_sklearn.evaluation.report",
}

__all__ = ["STUDIES", "evaluate", "read_results", "write_report"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
