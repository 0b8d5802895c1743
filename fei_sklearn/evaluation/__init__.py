"""The paper's evaluation: linear evaluation, fine-tuning and probes, saved cell by cell.

`evaluate` measures a model on sets and writes a results file, `read_results` reads the file, and
`write_report` makes tables of the results. The command ``fei-sklearn`` is a thin layer over these.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fei_sklearn.evaluation.report import write_report
    from fei_sklearn.evaluation.results import read_results
    from fei_sklearn.evaluation.runner import evaluate
    from fei_sklearn.evaluation.studies import STUDIES

#: Public name -> module. Modules are loaded on first use, which keeps a command's help fast.
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
