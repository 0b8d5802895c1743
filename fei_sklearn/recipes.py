"""How the bundled checkpoints were made, so that anyone can make them again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """A corpus and the parameters of a pretraining.

    Attributes
    ----------
    params : dict
        Parameters of :class:`fei_sklearn.FEIEmbedder`.
    n_series, n_timepoints, corpus_seed : int
        Arguments of :func:`fei_sklearn.datasets.make_corpus`.
    then : Recipe, default=None
        A further pretraining that goes on from the weights of this one, on a corpus of its own; its
        parameters are those that differ.
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

#: The last part of each: masks of time points in place of frequencies, and smaller batches.
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

#: Recipes of the bundled checkpoints, by their names.
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
}


def pretrain_recipe(
    name: str, *, n_series: int | None = None, callbacks: Any = (), **params: Any
) -> Any:
    """Draw a recipe's corpus and pretrain on it, and so on for its further parts.

    Parameters
    ----------
    name : str
        One of :data:`RECIPES`.
    n_series : int, default=None
        A shorter or longer corpus than each of the recipe's.
    callbacks : sequence of scikit-learn callbacks, default=()
        Followers of the fit.
    **params
        Parameters of :class:`fei_sklearn.FEIEmbedder` that are to differ from the recipe's, such
        as ``verbose`` or ``device``.

    Returns
    -------
    FEIEmbedder
        The fitted embedder. It keeps no scaling: a fit that starts from it takes that of its own
        panel.

    Raises
    ------
    ValueError
        If there is no such recipe.
    """
    from fei_sklearn._embedder import FEIEmbedder
    from fei_sklearn.datasets import make_corpus

    if name not in RECIPES:
        raise ValueError(f"There is no recipe {name!r}: choose from {sorted(RECIPES)}.")
    embedder = FEIEmbedder()
    if callbacks:
        embedder.set_callbacks(*callbacks)
    part: Recipe | None = RECIPES[name]
    while part is not None:
        n = part.n_series if n_series is None else n_series
        corpus = make_corpus(n, part.n_timepoints, random_state=part.corpus_seed)
        embedder.set_params(**part.params | params)
        embedder.fit(corpus[:, None])  # with a channel axis, so that it embeds series of any length
        embedder.set_params(warm_start=True)
        part = part.then
    embedder.set_params(warm_start=False)
    embedder.offset_ = embedder.scale_ = None
    return embedder
