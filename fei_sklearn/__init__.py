"""Self-supervised embeddings of time series behind scikit-learn's API.

:class:`FEIEmbedder` pretrains FEI (Frequency-masked Embedding Inference, AAAI 2025) inside `fit`;
its `transform` returns one vector per series.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fei_sklearn._classifier import FEIClassifier
    from fei_sklearn._embedder import FEIEmbedder
    from fei_sklearn._fitting.collapse import CollapseWarning
    from fei_sklearn._regressor import FEIRegressor

try:
    __version__ = version("fei-sklearn")
except PackageNotFoundError:  # a checkout that was not installed
    __version__ = "0+unknown"

#: Module of each public name, imported on first use because torch takes a second or two.
_PUBLIC = {
    "CollapseWarning": "fei_sklearn._fitting.collapse",
    "FEIClassifier": "fei_sklearn._classifier",
    "FEIEmbedder": "fei_sklearn._embedder",
    "FEIRegressor": "fei_sklearn._regressor",
}

__all__ = ["CollapseWarning", "FEIClassifier", "FEIEmbedder", "FEIRegressor", "__version__"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
