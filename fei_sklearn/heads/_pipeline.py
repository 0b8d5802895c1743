"""Pipelines of an embedder, a scaler and a head."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from fei_sklearn import FEIEmbedder
from fei_sklearn._specs import gives_principal_axes

#: Candidate penalties of ridge heads. Thousands of standardised features of few series need up to
#: 1e5.
PENALTIES = np.logspace(-3, 5, 17)

#: An embedder, or the name or folder of one.
EmbedderLike: TypeAlias = FEIEmbedder | FrozenEstimator | str | os.PathLike[str]


def pipeline(
    embedder: EmbedderLike,
    head: BaseEstimator,
) -> Pipeline:
    """Return an unfitted pipeline with the steps "embedder", "scaler" and "head".

    The scaler lets the numbers of short embeddings (`n_components`) pass as they are.

    Parameters
    ----------
    embedder : FEIEmbedder, FrozenEstimator, str or path-like
        As in `make_classifier`.
    head : estimator
        Classifier or regressor of standardised embeddings.

    Returns
    -------
    Pipeline
        The pipeline.

    Raises
    ------
    TypeError
        If `embedder` is none of these.
    """
    first = _embedder_step(embedder)
    scaler: BaseEstimator | str = StandardScaler()
    if gives_principal_axes(_unwrapped(first)):
        scaler = "passthrough"
    steps = [
        ("embedder", first),
        ("scaler", scaler),
        ("head", head),
    ]
    return Pipeline(steps)


def _unwrapped(embedder: Any) -> FEIEmbedder:
    """Return an embedder, or the one that a FrozenEstimator holds."""
    if isinstance(embedder, FrozenEstimator):
        return embedder.estimator
    return embedder


def _embedder_step(embedder: Any) -> BaseEstimator:
    """Return the first step of the pipeline, frozen if it is fitted."""
    if isinstance(embedder, str | os.PathLike):
        return FEIEmbedder(pretrained=embedder)
    if isinstance(embedder, FrozenEstimator) and isinstance(embedder.estimator, FEIEmbedder):
        return embedder
    if not isinstance(embedder, FEIEmbedder):
        raise TypeError(
            "embedder must be the name or folder of a model, such as 'default', an FEIEmbedder, or "
            f"a FrozenEstimator of one, got {embedder!r}."
        )
    if hasattr(embedder, "weights_"):
        # unfrozen, the pipeline's fit would train its weights from scratch
        return FrozenEstimator(embedder)
    return embedder
