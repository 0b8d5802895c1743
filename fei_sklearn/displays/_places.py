"""Places of embeddings in two dimensions, and their picture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler

from fei_sklearn.displays._axes import MARKERS, own_axes

METHODS = ("pca", "tsne", "umap")

#: Perplexity of t-SNE for panels that have the series for it.
PERPLEXITY = 30


def in_two_dimensions(
    embeddings: np.ndarray, method: str = "pca", random_state: int | None = 0
) -> np.ndarray:
    """Return embeddings in two dimensions.

    Parameters
    ----------
    embeddings : ndarray of shape (n_samples, n_features)
        Embeddings of at least 3 series, which are standardised first.
    method : {"pca", "tsne", "umap"}, default="pca"
        Principal axes, t-SNE, or UMAP, which needs the package umap-learn.
    random_state : int or None, default=0
        Seed of t-SNE and UMAP.

    Returns
    -------
    ndarray of shape (n_samples, 2)
        Places of the series.

    Raises
    ------
    ValueError
        If there is no such method, or there are fewer than 3 series.
    ImportError
        If the method is "umap" and umap-learn is not installed.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {list(METHODS)}, got {method!r}.")
    if len(embeddings) < 3:
        raise ValueError(f"X has {len(embeddings)} series: give at least 3 for a picture.")
    standardised = StandardScaler().fit_transform(embeddings)
    if method == "pca":
        return PCA(2, random_state=random_state).fit_transform(standardised)
    if method == "tsne":
        perplexity = min(PERPLEXITY, (len(embeddings) - 1) / 3)
        return TSNE(perplexity=perplexity, random_state=random_state).fit_transform(standardised)
    return _umap()(random_state=random_state).fit_transform(standardised)


def _umap() -> Any:
    try:
        from umap import UMAP
    except ImportError:
        raise ImportError(
            "method='umap' needs the package umap-learn: pip install umap-learn, or take 'tsne'."
        ) from None
    return UMAP


def axis_name(method: str) -> str:
    """Return the name of the axes on which a method places embeddings."""
    return "principal axis" if method == "pca" else f"axis of {method}"


def scatter(groups: Iterable[tuple[str, np.ndarray]], axis_name: str, ax: Any) -> Any:
    """Draw groups of places, each with a marker of its own.

    Parameters
    ----------
    groups : iterable of tuple
        Name of a group, and its places, an array of shape (n_samples, 2).
    axis_name : str
        Name of the axes.
    ax : matplotlib Axes or None
        Axes to draw on. None makes a figure.

    Returns
    -------
    matplotlib Axes
        The axes.
    """
    axes = own_axes(ax)
    for number, (name, places) in enumerate(groups):
        x, y = places.T
        marker = MARKERS[number % len(MARKERS)]
        axes.scatter(x, y, s=18, marker=marker, alpha=0.8, label=name)
    axes.set_xlabel(f"first {axis_name}")
    axes.set_ylabel(f"second {axis_name}")
    return axes
