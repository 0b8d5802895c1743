"""Embeddings of dask arrays, block by block on the workers of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fei_sklearn._input.checks import check_fits
from fei_sklearn._transform import plain_embeddings

if TYPE_CHECKING:
    import dask.array

__all__ = ["embed"]


def embed(embedder: Any, X: dask.array.Array) -> dask.array.Array:
    """Embed a dask array of series, lazily.

    Nothing is computed before the result is. Each block of series is one task, and the model is a
    task of its own that the blocks share, so that it does not travel with each of them. An
    embedding does not depend on its company, so the result equals ``embedder.transform`` on one
    machine, bit by bit on the same kind of processor.

    Parameters
    ----------
    embedder : FEIEmbedder
        Fitted embedder. With ``n_jobs=1`` the threads of a worker do not compete.
    X : dask.array.Array of shape (n_samples, n_timepoints) or \
(n_samples, n_channels, n_timepoints)
        Series, as for ``embedder.transform``. Blocks are joined along channels and time, because a
        series is embedded as a whole; some hundred series per block are a good size.

    Returns
    -------
    dask.array.Array of shape (n_samples, n_features_out), float32
        Embeddings, in blocks of the rows of `X`.

    Raises
    ------
    NotFittedError
        If the embedder is not fitted.
    TypeError
        If `X` is not a dask array.
    ValueError
        If `X` has other dimensions or channels than in `fit`, or if the embedder has
        ``pooling=None``.

    See Also
    --------
    fei_sklearn.FEIEmbedder.transform : Embeds arrays, also dask arrays, in one process.

    Examples
    --------
    >>> import dask.array as da
    >>> from sktime.datasets import load_unit_test
    >>> from fei_sklearn import FEIEmbedder
    >>> from fei_sklearn.adapters.dask import embed
    >>> X, y = load_unit_test(split="train", return_type="numpy3d")
    >>> embedder = FEIEmbedder(pretrained="default", n_jobs=1).fit(X)
    >>> embeddings = embed(embedder, da.from_array(X, chunks=(5, -1, -1)))
    >>> embeddings
    dask.array<..., shape=(20, 2688), dtype=float32, chunksize=(5, 2688), ...>
    >>> embeddings.compute().shape
    (20, 2688)
    """
    import dask.array
    from dask.delayed import delayed

    check_is_fitted(embedder)
    if not isinstance(X, dask.array.Array):
        raise TypeError(
            f"X must be a dask array, got {type(X).__name__}: give dask.array.from_array(X), or "
            "call embedder.transform(X)."
        )
    one_series = np.zeros((1, *X.shape[1:]))  # the number of rows may be unknown
    check_fits(embedder, one_series)
    if embedder.pooling is None:
        raise ValueError(
            "embed returns one row per series, and pooling=None one per step: give the embedder a "
            "pooling."
        )
    within_series = dict.fromkeys(range(1, X.ndim), -1)
    series = X.rechunk(within_series)
    n_features = len(embedder.get_feature_names_out())
    return series.map_blocks(
        _embed_block,
        embedder=delayed(embedder),
        n_features=n_features,
        dtype=np.float32,
        chunks=(series.chunks[0], (n_features,)),
        drop_axis=list(range(2, X.ndim)),
        meta=np.empty((0, n_features), dtype=np.float32),
    )


def _embed_block(block: np.ndarray, embedder: Any, n_features: int) -> np.ndarray:
    """Return the embeddings of a block of series, which may be empty."""
    if len(block) == 0:
        return np.empty((0, n_features), dtype=np.float32)
    return plain_embeddings(embedder, block)
