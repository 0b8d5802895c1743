"""Classifiers and regressors on frozen embeddings, as pipelines with the heads that measured best.

:func:`make_classifier` and :func:`make_regressor` return a scikit-learn Pipeline of an embedder, a
StandardScaler and a head.
"""

from __future__ import annotations

from fei_sklearn.heads._classifier import make_classifier
from fei_sklearn.heads._regressor import make_regressor

__all__ = ["make_classifier", "make_regressor"]
