"""make_regressor: ridge regression on frozen embeddings."""

from __future__ import annotations

from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline

from fei_sklearn.heads._pipeline import PENALTIES, EmbedderLike, pipeline


def make_regressor(embedder: EmbedderLike = "default") -> Pipeline:
    """Return the recommended regressor on frozen embeddings, as a scikit-learn Pipeline.

    The steps are "embedder", "scaler" (StandardScaler) and "head": ridge regression, whose penalty
    between 1e-3 and 1e5 has the least leave-one-out error.
    ``set_params(embedder__pooling="small")`` reaches into a step. An embedder with `n_components`
    gets the scaler "passthrough"; set both if you set `n_components`.

    Parameters
    ----------
    embedder : FEIEmbedder, FrozenEstimator, str or path-like, default="default"
        Embedder of the series, as in :func:`make_classifier`.

    Returns
    -------
    Pipeline
        The unfitted regressor, for panels of shape (n_samples, n_timepoints) or
        (n_samples, n_channels, n_timepoints) and targets of shape (n_samples,) or
        (n_samples, n_outputs).

    Raises
    ------
    TypeError
        If `embedder` is none of these.

    See Also
    --------
    make_classifier : The same for classes.
    fei_sklearn.FEIRegressor : Fine-tunes the embedder too.

    Notes
    -----
    `fit` raises ValueError if there is no model of that name.

    Examples
    --------
    >>> from sktime.datasets import load_unit_test
    >>> from fei_sklearn.heads import make_regressor
    >>> X, _ = load_unit_test(split="train", return_type="numpy3d")
    >>> y = X.max(axis=(1, 2))
    >>> make_regressor().fit(X, y).predict(X).shape
    (20,)
    """
    return pipeline(embedder, RidgeCV(PENALTIES))
