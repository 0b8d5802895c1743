"""Display of embeddings in two dimensions, by label."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_consistent_length

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


class EmbeddingDisplay:
    """Embeddings of series in two dimensions, with a marker per label.

    Parameters
    ----------
    places : ndarray of shape (n_samples, 2)
        Places of the series.
    labels : ndarray of shape (n_samples,), default=None
        Labels of the series. None draws one group.
    axis_name : str, default="component"
        Name of the axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the picture.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    InferenceDisplay : Embeddings of target series beside their inferences.

    Examples
    --------
    >>> from sktime.datasets import load_unit_test
    >>> from fei_sklearn import FEIEmbedder
    >>> from fei_sklearn.displays import EmbeddingDisplay
    >>> X, y = load_unit_test(split="train", return_type="numpy3d")
    >>> embedder = FEIEmbedder(pretrained="default").fit(X)
    >>> display = EmbeddingDisplay.from_estimator(embedder, X, y)
    >>> display.places.shape
    (20, 2)
    """

    def __init__(
        self,
        places: np.ndarray,
        *,
        labels: np.ndarray | None = None,
        axis_name: str = "component",
    ) -> None:
        self.places = places
        self.labels = labels
        self.axis_name = axis_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        method: str = "pca",
        random_state: int | None = 0,
        ax: Any = None,
    ) -> EmbeddingDisplay:
        """Embed series and draw them.

        Parameters
        ----------
        estimator : estimator with `transform`
            Fitted embedder, fine-tuner, or pipeline that ends in a transformer.
        X : array-like
            Series, as for `estimator.transform`.
        y : array-like of shape (n_samples,), default=None
            Labels.
        method : {"pca", "tsne", "umap"}, default="pca"
            Principal axes, t-SNE, or UMAP, which needs the package umap-learn.
        random_state : int or None, default=0
            Seed of t-SNE and UMAP.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.

        Returns
        -------
        EmbeddingDisplay
            The display.

        Raises
        ------
        ValueError
            If there is no such method, or X and y differ in length.
        """
        embeddings = np.asarray(estimator.transform(X), dtype=np.float64)
        if y is not None:
            y = np.asarray(y)
            check_consistent_length(embeddings, y)
        places = in_two_dimensions(embeddings, method, random_state)
        axis_name = "principal axis" if method == "pca" else f"axis of {method}"
        display = cls(places, labels=y, axis_name=axis_name)
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> EmbeddingDisplay:
        """Draw the embeddings.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.

        Returns
        -------
        EmbeddingDisplay
            This display.
        """
        self.ax_ = own_axes(ax)
        self.figure_ = self.ax_.figure
        labels = self.labels
        if labels is None:
            labels = np.zeros(len(self.places), dtype=int)
        for number, label in enumerate(np.unique(labels)):
            x, y = self.places[labels == label].T
            marker = MARKERS[number % len(MARKERS)]
            self.ax_.scatter(x, y, s=18, marker=marker, alpha=0.8, label=str(label))
        if self.labels is not None:
            self.ax_.legend(fontsize="small")
        self.ax_.set_xlabel(f"first {self.axis_name}")
        self.ax_.set_ylabel(f"second {self.axis_name}")
        return self
