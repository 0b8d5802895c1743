"""Display of embeddings in two dimensions, by label."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length

from fei_sklearn.displays._places import axis_name, in_two_dimensions, scatter


class EmbeddingDisplay:
    """Embeddings of series in two dimensions, with a marker per label.

    Parameters
    ----------
    places : ndarray of shape (n_samples, 2)
        Places of the series.
    labels : ndarray of shape (n_samples,), default=None
        Labels of the series. None draws one group.
    axis_name : str, default="principal axis"
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
        axis_name: str = "principal axis",
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
        return cls(places, labels=y, axis_name=axis_name(method)).plot(ax=ax)

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
        groups = [("series", self.places)]
        if self.labels is not None:
            groups = [
                (str(label), self.places[self.labels == label]) for label in np.unique(self.labels)
            ]
        self.ax_ = scatter(groups, self.axis_name, ax)
        self.figure_ = self.ax_.figure
        if self.labels is not None:
            self.ax_.legend(fontsize="small")
        return self
