"""Recipes of the bundled checkpoints, so that anyone can make them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fei_sklearn.datasets import make_corpus

__all__ = [
    "RECIPES",
    "Recipe",
    "pretrain_recipe",
]


@dataclass(frozen=True)
class Recipe:
    """Corpus and parameters of a pretraining.

    Attributes
    ----------
    params : dict
        Parameters of :class:`fei_sklearn.FEIEmbedder`.
    n_series, n_timepoints, corpus_seed : int
        Arguments of :func:`fei_sklearn.datasets.make_corpus`.
    then : Recipe, default=None
        Recipe of a further pretraining, which starts from the weights of this one and has its own
        corpus. Its parameters are the ones that differ.
    """

    params: dict[str, Any] = field(default_factory=dict)
    n_series: int = 131_072
    n_timepoints: int = 512
    corpus_seed: int = 0
    then: Recipe | None = None


_COMMON = {
    "min_timepoints": 512,
    "batch_size": 256,
    "min_epoch_steps": 1,
    "learning_rate": 1e-3,
    "validation_fraction": None,
    "random_state": 0,
}

#: Last pretraining of every recipe: masks of time points, not of frequencies, and small batches.
_TEMPORAL = Recipe(
    {
        "max_epochs": 6,
        "batch_size": 64,
        "learning_rate": 5e-4,
        "mask_kind": "temporal",
        "random_state": 2,
    },
    corpus_seed=2,
)

#: Recipes of the bundled checkpoints by name.
RECIPES = {
    "fei-tiny": Recipe({"encoder": "tiny", "max_epochs": 5} | _COMMON, then=_TEMPORAL),
    "fei-small": Recipe(
        {"encoder": "small", "max_epochs": 10} | _COMMON,
        then=Recipe(
            {"max_epochs": 12, "learning_rate": 5e-4, "random_state": 1},
            n_series=65_536,
            corpus_seed=1,
            then=_TEMPORAL,
        ),
    ),
    "default": Recipe(
        {
            "encoder": "dilated",
            "min_timepoints": 128,
            "batch_size": 64,
            "min_epoch_steps": 1,
            "max_epochs": 3,
            "validation_fraction": None,
            "n_components": 256,
            "random_state": 0,
        },
        n_series=12_800,
    ),
}


def pretrain_recipe(
    name: str,
    *,
    n_series: int | None = None,
    callbacks: Sequence[object] = (),
    **params: Any,
) -> Any:
    """Draw a recipe's corpus and pretrain on it, then do the same for its further recipes.

    Parameters
    ----------
    name : str
        One of :data:`RECIPES`.
    n_series : int, default=None
        Number of series of each corpus. None takes the numbers of the recipe.
    callbacks : sequence of scikit-learn callbacks, default=()
        Callbacks of every fit.
    **params
        Parameters of :class:`fei_sklearn.FEIEmbedder` that replace the recipe's, such as
        ``verbose`` or ``device``.

    Returns
    -------
    FEIEmbedder
        The fitted embedder. It stores no scaling: a fit that starts from its weights takes the
        scaling of its own panel.

    Raises
    ------
    ValueError
        If there is no such recipe.
    """
    from fei_sklearn._embedder import FEIEmbedder

    if name not in RECIPES:
        raise ValueError(f"There is no recipe {name!r}: choose from {sorted(RECIPES)}.")
    embedder = FEIEmbedder()
    if callbacks:
        embedder.set_callbacks(*callbacks)
    recipe: Recipe | None = RECIPES[name]
    while recipe is not None:
        n_drawn = recipe.n_series if n_series is None else n_series
        corpus = make_corpus(n_drawn, recipe.n_timepoints, random_state=recipe.corpus_seed)
        panel = corpus[:, np.newaxis]  # a channel axis lets the model embed series of any length
        embedder.set_params(**recipe.params | params)
        embedder.fit(panel)
        embedder.set_params(warm_start=True)
        recipe = recipe.then
    # the axes are stored, and the default readout is the whole
    embedder.set_params(warm_start=False, n_components=None)
    # what the panel of `fit` decides is not the corpus'
    embedder.offset_ = None
    embedder.scale_ = None
    embedder.stretch_ = None
    return embedder
