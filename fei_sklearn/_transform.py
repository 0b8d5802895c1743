"""Embeddings of a fitted embedder, their names, and the positions of their steps."""

from __future__ import annotations

from functools import wraps

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.frozen import FrozenEstimator
from sklearn.utils import metadata_routing
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import check_is_fitted

from fei_sklearn import _specs
from fei_sklearn._fitting.rollback import twin
from fei_sklearn._input.checks import check_panel
from fei_sklearn._input.numbers import check_count, check_integer
from fei_sklearn._input.stretching import MIN_TIMEPOINTS
from fei_sklearn._input.windows import sliding_windows

# The methods that compute import torch, with modules of fei_sklearn._bridge.


class EmbeddingMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Methods of an embedder that need its fitted encoder, and change nothing."""

    #: `out` receives results; it is no metadata that a pipeline would route.
    __metadata_request__transform = {"out": metadata_routing.UNUSED}

    def transform(self, X, out=None):
        """Return the embeddings of series.

        The embedding of a series does not depend on the other series in `X`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or \
(n_samples, n_channels, n_timepoints), or list of arrays of shape (n_channels, n_timepoints_i)
            Series. A 3-D panel may have other lengths than in `fit`. Memory maps and chunked arrays
            are read block by block.
        out : array of shape (n_samples, n_features_out), default=None
            Array to write the embeddings to, such as ``np.lib.format.open_memmap(file, "w+",
            ...)``, or an array of zarr or h5py. None makes a new array, or the container that
            scikit-learn's ``set_output`` names.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out), float32
            Embeddings, or `out`. Independent channels have embeddings of their own, side by side.
            With ``pooling=None`` the shape is (n_samples, n_steps, n_features_out), with NaN beyond
            the end of shorter series.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ValueError
            If `X` has other dimensions or channels than in `fit` or holds infinities, if `out`
            does not fit, or if scikit-learn is set to return frames and ``pooling=None``.
        """
        check_is_fitted(self)
        if out is None:
            _check_container(self)
        return _embed(self, X, out)

    def transform_chunks(self, X, *, n_rows=None):
        """Embed series block by block, for embeddings that may be larger than memory.

        Parameters
        ----------
        X : array-like
            Series, as in `transform`.
        n_rows : int, default=None
            Series per block. None takes blocks of about a million values, and of at least one tile
            of inference.

        Returns
        -------
        iterator of tuple of slice and ndarray
            Rows of a block, and their embeddings as in `transform`. While one block is embedded,
            the next one is read.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ValueError
            As in `transform`; for bad values of a block, when its turn comes.
        """
        if n_rows is not None:
            check_count("n_rows", n_rows, 1)
        fitted = twin(self)
        values = _validated(fitted, X)
        from fei_sklearn._bridge.encoding import embed_blocks

        return embed_blocks(_specs.encoding_spec(fitted, self), values, n_rows)

    def transform_sliding(self, X, *, window_length, step=1):
        """Embed the windows that slide over long series.

        Each window of `window_length` time points is embedded like a series of its own. An
        embedding is causal: it does not depend on values after the end of its window.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or (n_samples, n_channels, n_timepoints)
            Series of one length, with the number of dimensions in `fit`. The windows of a 2-D panel
            must have the length of the series in `fit`.
        window_length : int
            Time points per window.
        step : int, default=1
            Time points from one window to the next.

        Returns
        -------
        embeddings : ndarray of shape (n_samples, n_windows, n_features_out), float32
            Embeddings of the windows, as in `transform`.
        ends : ndarray of shape (n_windows,), int64
            Index of the last time point of each window.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ValueError
            If the window is longer than the series or shorter than 2, if the step is below 1, or if
            the embedder was fitted on a 2-D panel of another length than the window's.
        """
        check_is_fitted(self)
        check_integer("window_length", window_length)
        check_integer("step", step)
        windows, ends = sliding_windows(X, window_length, step)
        if self.input_ndim_ == 2 and window_length != self.n_features_in_:
            raise ValueError(
                f"window_length={window_length}, but the embedder was fitted on a 2-D panel of "
                f"{self.n_features_in_} time points: fit it on X[:, np.newaxis], which windows of "
                "any length match."
            )
        fitted = twin(self)
        embeddings = [_embed(fitted, of_series, owner=self) for of_series in windows]
        return np.stack(embeddings), ends

    def step_positions(self, n_timepoints):
        """Return the time points at which the steps of ``pooling=None`` are centred.

        Parameters
        ----------
        n_timepoints : int
            Length of the series.

        Returns
        -------
        ndarray of shape (n_steps,), float64
            Positions from 0.5 on, every 32 time points with ``stride=2`` and every 2 time points
            with ``stride=1``; closer where a series is stretched to `min_timepoints`.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        TypeError
            If `n_timepoints` is not an integer.
        ValueError
            If `n_timepoints` is below 2, or the encoder is a user's own without a method
            ``step_positions``.
        """
        check_is_fitted(self)
        from fei_sklearn._bridge.encoding import step_positions

        check_count("n_timepoints", n_timepoints, MIN_TIMEPOINTS)
        fitted = twin(self)
        stretched = _specs.fitted_input(fitted).stretching.length(n_timepoints)
        positions = step_positions(_specs.fitted_model(fitted), stretched)
        return positions * ((n_timepoints - 1) / (stretched - 1))

    def get_feature_names_out(self, input_features=None):
        """Return the names of the features.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str
            With the readout of the encoder "dilated", view, statistic and position in their group,
            such as "level_max_0"; "axis_0" and so on with `n_components`. Other readouts number
            their features after the class.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        """
        check_is_fitted(self)
        names = _specs.encoding_spec(self).feature_names
        if names is None:
            return super().get_feature_names_out(input_features)
        return np.array(names, dtype=object)

    @property
    def _n_features_out(self):
        return _specs.encoding_spec(twin(self)).n_features

    @property
    def encoder_(self):
        """The fitted encoder: a new torch module on the CPU, in evaluation mode."""
        check_is_fitted(self)
        from fei_sklearn._bridge.encoding import restore_encoder

        return restore_encoder(_specs.fitted_model(twin(self)))


def _with_out_unwrapped(transform):
    """Return scikit-learn's wrapper of `transform`, past which `out` is returned as it was given.

    A frame of `out` would be a copy in memory of what may be an array on disk.
    """

    @wraps(transform)
    def unwrapped(self, X, out=None):
        if out is None:
            return transform(self, X)
        return transform.__wrapped__(self, X, out)

    return unwrapped


EmbeddingMixin.transform = _with_out_unwrapped(EmbeddingMixin.transform)  # type: ignore[method-assign]


def plain_embeddings(transformer, X):
    """Return what a fitted transformer computes as an array, whatever container is configured.

    Parameters
    ----------
    transformer : FEIEmbedder, FrozenEstimator or another transformer
        Fitted. scikit-learn's ``set_output`` and ``transform_output`` have no effect.
    X : array-like
        Series.

    Returns
    -------
    ndarray of shape (n_samples, n_features_out)
        Embeddings.
    """
    if isinstance(transformer, FrozenEstimator):
        return plain_embeddings(transformer.estimator, X)
    if isinstance(transformer, EmbeddingMixin):
        return _embed(transformer, X)
    return np.asarray(transformer.transform(X))


def _validated(embedder, X):
    """Return the series of X after all checks, before their scaling."""
    check_is_fitted(embedder)
    embedder._validate_params()  # the readout may have been set since fit
    return check_panel(embedder, X, reset=False)


def _embed(embedder, X, out=None, owner=None):
    """Return embeddings as an array, whatever container scikit-learn is set to return."""
    fitted = twin(embedder)
    values = _validated(fitted, X)
    from fei_sklearn._bridge.encoding import embed_values

    return embed_values(_specs.encoding_spec(fitted, owner or embedder), values, out)


def _check_container(embedder):
    """Raise a ValueError if `transform` is set to return a frame of embeddings of steps."""
    container = _get_output_config("transform", embedder)["dense"]
    if embedder.pooling is None and container != "default":
        raise ValueError(
            "pooling=None gives embeddings of shape (n_samples, n_steps, n_features_out), which a "
            f"frame cannot hold, but transform_output is {container!r}: call "
            "set_output(transform='default'), or pool the steps."
        )
