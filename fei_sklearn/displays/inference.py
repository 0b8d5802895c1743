"""Display of inferences: embeddings of series, of target series, and inferred ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fei_sklearn import _specs
from fei_sklearn._input.checks import check_panel
from fei_sklearn.displays._places import axis_name, in_two_dimensions, scatter
from fei_sklearn.objectives import RIVALS

#: Groups of points, in the order of their markers.
GROUPS = ("series", "target series", "inferred")


class InferenceDisplay:
    """Embeddings of series, of their target series, and those that FEI infers, in two dimensions.

    Draw series that the encoder was never trained on. Inferred embeddings among those of the target
    series show at least that FEI has learnt the offset that target series share.

    Parameters
    ----------
    places : ndarray of shape (3, n_samples, 2)
        Places of series, target series and inferences.
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
    MaskingDisplay : The target series themselves.

    References
    ----------
    Fu and Hu, AAAI 2025, the figure of original, target and inferred embeddings.

    Examples
    --------
    >>> from sktime.datasets import load_unit_test
    >>> from fei_sklearn import FEIEmbedder
    >>> from fei_sklearn.displays import InferenceDisplay
    >>> X, y = load_unit_test(split="train", return_type="numpy3d")
    >>> embedder = FEIEmbedder(random_state=0)
    >>> for _ in range(3):
    ...     embedder = embedder.partial_fit(X[:10])
    >>> InferenceDisplay.from_estimator(embedder, X[10:]).places.shape
    (3, 10, 2)
    """

    def __init__(self, places: np.ndarray, *, axis_name: str = "principal axis") -> None:
        self.places = places
        self.axis_name = axis_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        method: str = "pca",
        random_state: int = 0,
        ax: Any = None,
    ) -> InferenceDisplay:
        """Infer embeddings of target series, and draw them.

        The target series are embedded by the momentum copies, which `fit` does not keep: train the
        embedder by `partial_fit`, on one panel several times or on the chunks of a stream.

        Parameters
        ----------
        estimator : FEIEmbedder
            Embedder that `partial_fit` trained, by FEI or one of its ablations.
        X : array-like
            Series, as for `estimator.transform`. Independent channels are series of their own.
        method : {"pca", "tsne", "umap"}, default="pca"
            Principal axes, t-SNE, or UMAP, which needs the package umap-learn.
        random_state : int, default=0
            Seed of the masks, and of t-SNE and UMAP.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.

        Returns
        -------
        InferenceDisplay
            The display.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the estimator was trained by `fit` or by another method than FEI, or if X does not
            fit.
        """
        from fei_sklearn._bridge.inferring import infer_targets

        check_is_fitted(estimator)
        if estimator.objective_ in RIVALS:
            raise ValueError(
                f"The estimator was trained by {estimator.objective_!r}, which infers no target "
                "embeddings: give one that was trained by 'fei'."
            )
        if not hasattr(estimator, "stream_state_"):
            raise ValueError(
                "The estimator has no momentum copies, which fit does not keep: train it by "
                "partial_fit(X), once per epoch."
            )
        values = check_panel(estimator, X, reset=False)
        input_spec = _specs.fitted_input(estimator)
        panel = input_spec.training_panel(input_spec.panel(values))
        embeddings = infer_targets(
            _specs.pretraining_spec(estimator, random_state),
            panel,
            _specs.fitted_model(estimator),
            estimator.stream_state_,
            random_state,
        )
        joined = np.concatenate(embeddings)
        places = in_two_dimensions(joined, method, random_state).reshape(3, -1, 2)
        return cls(places, axis_name=axis_name(method)).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> InferenceDisplay:
        """Draw the embeddings.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.

        Returns
        -------
        InferenceDisplay
            This display.
        """
        groups = zip(GROUPS, self.places, strict=True)
        self.ax_ = scatter(groups, self.axis_name, ax)
        self.figure_ = self.ax_.figure
        self.ax_.legend(fontsize="small")
        return self
