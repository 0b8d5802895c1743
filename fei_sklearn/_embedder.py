"""FEIEmbedder: pretrain in fit, embed in transform."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils import check_random_state, metadata_routing
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from fei_sklearn import _specs
from fei_sklearn._bridge.spec import chunk_seed
from fei_sklearn._fitting import (
    CallbackSupportMixin,
    EpochCallbacks,
    Watchers,
    all_or_nothing,
    printers,
    with_callbacks,
)
from fei_sklearn._input.checks import check_panel
from fei_sklearn._input.scaling import Scaler
from fei_sklearn._input.windows import sliding_windows
from fei_sklearn._saving.mixin import SavingMixin
from fei_sklearn.objectives import OBJECTIVES
from fei_sklearn.readout.spec import LAYERS, STATISTICS, VIEWS

# The methods that compute import torch, with modules of fei_sklearn._bridge.

#: Relative deviation of the embeddings below which `fit` warns of collapse.
COLLAPSE_DEVIATION = 1e-4


class CollapseWarning(UserWarning):
    """Pretraining gave all series nearly the same embedding."""


class FEIEmbedder(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    SavingMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Embeddings of time series by Frequency-masked Embedding Inference.

    `fit` pretrains an encoder without labels: from the embedding of a series and a prompt that says
    which frequencies were removed it learns to infer the embedding of what is left, and from both
    embeddings the prompt. `transform` gives one vector a series.

    Parameters
    ----------
    encoder : {"tiny", "small", "norm", "big"}, int or callable, default="small"
        The published sizes, of width 128, 256, 512 and 1024; a width of your own, a multiple of 8;
        or a callable that takes the number of channels and returns a torch module from
        (n_samples, n_channels, n_timepoints) to (n_samples, width, n_steps).
    objective : str, default="fei"
        What is pretrained: FEI; without one of its parts, as "fei-no-mask-prompt"; or one of the
        methods it is compared with, as "ts2vec". `fei_sklearn.objectives.OBJECTIVES` lists them,
        `docs/rivals.md` says what they compute. `mask_ratio`, `mask_kind`, `n_targets` and
        `momentum` are FEI's.
    mask_ratio : float or pair of float, default=(0.0, 0.7)
        Lowest and highest share of the frequencies that is removed, in [0, 1); a number r means
        (0, r).
    mask_kind : {"discrete", "continuous", "temporal"}, default="discrete"
        Remove single frequencies, a band of them, or time points.
    n_targets : int, default=1
        Masked versions of each series in a step.
    momentum : float, default=0.995
        Momentum of the target encoder at the start; it grows linearly to 1 over the run.
    stride : {1, 2}, default=2
        Stride of the encoder's stages.
    channels : {"independent", "mix"}, default="independent"
        Whether one univariate encoder embeds each channel of a multivariate series and the
        embeddings stand side by side, or the encoder's first convolution mixes the channels.
    scaling : {"channel", "series", None}, default="channel"
        Centre and scale each channel by its mean and standard deviation over the training panel,
        which keeps levels and amplitudes; or by those of each series, where these mean nothing; or
        not at all.
    min_timepoints : int or None, default=None
        Stretch shorter series to this many time points, by linear interpolation. None leaves every
        series its length.
    pooling : {"auto", "mean", "max", "std", "ppv"}, tuple of these, or None, default="auto"
        Statistics over time that `transform` gives. "mean" is the readout of the paper. "ppv" are
        the proportions of positive values of MiniRocket: the shares of the time that a feature is
        above nine biases, deciles over the training panel; in the last stage five of them, and in
        the first two also three of them in each half of the series. "max" and "std", too, are of
        the sums before a map's last GELU. "auto" gives the mean, the maximum
        and "ppv" of both blocks of all stages on three views of a univariate series; of panels with
        more channels, and of wider encoders, so much less of each that there are at most about
        40,000 features. None gives the encoder's map step by step, see `step_positions`.
    layers : {"auto", "last", "all", "blocks"}, default="auto"
        Pool the last stage of the encoder, as the paper does, all four side by side, or both blocks
        of all four. "auto" is the last, unless pooling is "auto", too.
    views : {"auto", "level", "shape", "change"} or tuple of these, default="auto"
        What of a series is embedded, side by side: the series as scaled, with the mean 0 and the
        standard deviation 1 of its own, or its first differences, standardised likewise. "auto" is
        "level", unless pooling is "auto", too.
    max_epochs : int or "auto", default="auto"
        Most epochs. "auto" is 50, and 0 with `pretrained`: further pretraining on a small panel
        cost more than it gave, see docs/checkpoints.md. 0 gives an untrained encoder with
        calibrated batch norm, or `pretrained` as it is.
    min_epoch_steps : int, default=10
        Optimiser steps that an epoch has at least: a small panel is passed over several times in an
        epoch. 1 makes an epoch one pass, as in the paper.
    batch_size : int or "auto", default="auto"
        Series in a step of pretraining. "auto" takes the power of 2 nearest to an eighth of the
        panel, from 16 to the paper's 512: small panels gain from many small steps. Channels of
        their own count as series.
    learning_rate : float, default=1e-3
        Peak learning rate of AdamW; the paper has 2e-4.
    lr_decay : float or "cosine", default="cosine"
        Half a cosine over the run after a short warm-up, or a factor after each epoch (0.9 in the
        paper).
    validation_fraction : float or None, default=0.1
        Share of the series that early stopping watches. None, 0 and panels of fewer than 8 series
        train on all of them to the end.
    n_iter_no_change : int or None, default=5
        Epochs without improvement after which to stop. The best weights are restored in any case.
    warm_start : bool, default=False
        Go on from the weights of the last fit.
    pretrained : str, path-like or None, default=None
        Start from this model: a folder that `save` wrote, the name of a bundled checkpoint, or
        "owner/name" on the Hugging Face hub. `encoder`, `objective`, `stride`, `channels`,
        `scaling` and `min_timepoints` are then the model's. Its weights are used as they
        are, unless `max_epochs` is a number of epochs; the biases of "ppv" are always those of the
        panel that `fit` is given.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1", "mps"; "auto" takes CUDA where there is one.
    n_devices : int or "auto", default=1
        Devices that share every batch of pretraining, each with a process of its own, and the rows
        of `transform`; on the CPU, processes and threads. `batch_size` is that of all together, and
        the losses are those of one device. "auto" takes all CUDA devices, or the processes that
        torchrun or SLURM has started, each of which calls `fit`. See docs/scaling.md. Rivals of FEI
        train on one device.
    precision : {"auto", "32-true", "64-true", "16-mixed", "bf16-mixed"}, default="auto"
        Precision of pretraining. "auto" is float32 on the CPU and mixed with bfloat16 on CUDA.
    n_jobs : int or None, default=None
        Torch's CPU threads during fit and transform; None leaves their number alone, -1 is one for
        each core.
    checkpoint_dir : str, path-like or None, default=None
        Folder in which `fit` keeps its state, about every second, so that the same fit goes on from
        there after its process was killed: with the same weights at the end, bit by bit on one CPU
        thread. Every run, such as each of a grid search, has a folder of its own in it, and leaves
        its outcome there: the same fit again takes that. Needs a `random_state`. None writes
        nothing.
    random_state : int, RandomState instance or None, default=None
        Source of all randomness. The same integer gives the same embeddings, bit by bit on one CPU
        thread.
    verbose : int, default=0
        Print a line every `verbose` epochs; 0 prints nothing.

    Attributes
    ----------
    weights_ : dict of str to ndarray
        Encoder, prompts and heads.
    objective_ : str
        What was pretrained.
    history_ : list of dict
        A record for each epoch: losses on training and validation series, learning rate, momentum,
        seconds.
    n_iter_ : int
        Epochs trained.
    best_epoch_ : int
        Epoch, counted from 1, whose weights were kept.
    n_features_in_ : int
        Time points of a 2-D panel, channels of a 3-D one.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X was a frame with string names.
    n_channels_in_ : int
        Channels of the panel seen in `fit`.
    n_timepoints_in_ : int
        Time points of the longest series seen in `fit`.
    input_ndim_ : {2, 3}
        Dimensions of the panel seen in `fit`.
    stream_state_ : dict of str to ndarray
        After `partial_fit` only: what the next chunk goes on from beside the weights.

    References
    ----------
    E. Fu and Y. Hu, "Frequency-Masked Embedding Inference: A Non-Contrastive Approach for Time
    Series Representation Learning", AAAI 2025, 39(16), 16639-16647.

    Examples
    --------
    >>> from sktime.datasets import load_unit_test
    >>> from fei_sklearn import FEIEmbedder
    >>> X, y = load_unit_test(split="train", return_type="numpy3d")
    >>> embedder = FEIEmbedder("tiny", max_epochs=2, random_state=0)
    >>> embedder.fit_transform(X).shape
    (20, 14496)
    >>> embedder.set_params(pooling="mean").transform(X).shape
    (20, 128)
    """

    _doc_link_module = "fei_sklearn"
    _doc_link_template = (
        "https://github.com/fei-sklearn/fei-sklearn/blob/main/docs/api.md#{estimator_name}"
    )

    #: `out` is where results go, no metadata that a pipeline would route.
    __metadata_request__transform = {"out": metadata_routing.UNUSED}

    _parameter_constraints = {
        "encoder": [
            StrOptions({"tiny", "small", "norm", "big"}),
            Interval(Integral, 8, None, closed="left"),
            callable,
        ],
        "objective": [StrOptions(set(OBJECTIVES))],
        "mask_ratio": [Interval(Real, 0, 1, closed="left"), tuple, list],
        "mask_kind": [StrOptions({"discrete", "continuous", "temporal"})],
        "n_targets": [Interval(Integral, 1, None, closed="left")],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "stride": [Interval(Integral, 1, 2, closed="both")],
        "channels": [StrOptions({"mix", "independent"})],
        "scaling": [StrOptions({"series", "channel"}), None],
        "min_timepoints": [Interval(Integral, 2, None, closed="left"), None],
        "pooling": [StrOptions({"auto", *STATISTICS}), tuple, list, None],
        "layers": [StrOptions({"auto", *LAYERS})],
        "views": [StrOptions({"auto", *VIEWS}), tuple, list],
        "max_epochs": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "min_epoch_steps": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "lr_decay": [StrOptions({"cosine"}), Interval(Real, 0, 1, closed="right")],
        "validation_fraction": [Interval(Real, 0, 1, closed="left"), None],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), None],
        "warm_start": ["boolean"],
        "pretrained": [str, os.PathLike, None],
        "device": [str],
        "n_devices": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "precision": [
            StrOptions({"auto", "32-true", "64-true", "16-mixed", "bf16-mixed"}),
        ],
        "n_jobs": [Integral, None],
        "checkpoint_dir": [str, os.PathLike, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        encoder="small",
        *,
        objective="fei",
        mask_ratio=(0.0, 0.7),
        mask_kind="discrete",
        n_targets=1,
        momentum=0.995,
        stride=2,
        channels="independent",
        scaling="channel",
        min_timepoints=None,
        pooling="auto",
        layers="auto",
        views="auto",
        max_epochs="auto",
        min_epoch_steps=10,
        batch_size="auto",
        learning_rate=1e-3,
        lr_decay="cosine",
        validation_fraction=0.1,
        n_iter_no_change=5,
        warm_start=False,
        pretrained=None,
        device="auto",
        n_devices=1,
        precision="auto",
        n_jobs=None,
        checkpoint_dir=None,
        random_state=None,
        verbose=0,
    ):
        self.encoder = encoder
        self.objective = objective
        self.mask_ratio = mask_ratio
        self.mask_kind = mask_kind
        self.n_targets = n_targets
        self.momentum = momentum
        self.stride = stride
        self.channels = channels
        self.scaling = scaling
        self.min_timepoints = min_timepoints
        self.pooling = pooling
        self.layers = layers
        self.views = views
        self.max_epochs = max_epochs
        self.min_epoch_steps = min_epoch_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.lr_decay = lr_decay
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.pretrained = pretrained
        self.device = device
        self.n_devices = n_devices
        self.precision = precision
        self.n_jobs = n_jobs
        self.checkpoint_dir = checkpoint_dir
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @all_or_nothing
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Pretrain the encoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or \
(n_samples, n_channels, n_timepoints), or list of arrays of shape (n_channels, n_timepoints_i)
            Series of at least 2 time points; NaN where a value is missing. Frames are wide, a row a
            series. Memory maps, such as ``np.load(file, mmap_mode="r")``, and chunked arrays, as of
            zarr, h5py and dask, are read in parts: see docs/performance.md.
        y : None
            Ignored.

        Returns
        -------
        self : FEIEmbedder
            The fitted embedder.

        Raises
        ------
        ValueError
            For parameters or a panel out of bounds, or a loss that is not finite any more. The
            embedder stays as it was.
        RuntimeError
            If one of the processes of ``n_devices > 1`` was killed.

        Warns
        -----
        CollapseWarning
            If all series have nearly the same embedding.
        """
        self._pretrain(X)
        return self

    @all_or_nothing
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Pretrain on a chunk of a stream.

        The first chunk decides the scaling for good. Every chunk is trained on for one epoch, of at
        least `min_epoch_steps` steps, under a constant learning rate and momentum, as no end is
        known, and without validation; the optimiser and the momentum copies go on from chunk to
        chunk. Batch-norm statistics and the biases of "ppv" are then those of the last chunk: give
        chunks of some hundred series, in random order. After `fit`, or with `pretrained`, the
        stream goes on from these weights. `max_epochs`, `lr_decay`, `validation_fraction`,
        `n_iter_no_change`, `warm_start` and `checkpoint_dir` play no part.

        Parameters
        ----------
        X : array-like
            Series, as in `fit`; of later chunks with the dimensions and channels of the first.
        y : None
            Ignored.

        Returns
        -------
        self : FEIEmbedder
            The fitted embedder. Its pickle holds what is needed to go on, some three times the
            weights; a folder that `save` writes does not, so that after `load` the optimiser and
            the momentum copies begin anew. `fit` forgets the stream.

        Raises
        ------
        ValueError
            As in `fit`, or if a chunk has other channels than the first.

        Warns
        -----
        CollapseWarning
            If all series of the chunk have nearly the same embedding.
        """
        from fei_sklearn._bridge.stream import pretrain_on

        _specs.check_readout(self)
        goes_on = hasattr(self, "weights_")
        start = self if goes_on else self._start()
        values = check_panel(self, X, reset=not goes_on)
        input_spec = _specs.training_input(self, values, start)
        earlier = []
        if goes_on:
            input_spec = replace(input_spec, scaler=Scaler(self.offset_, self.scale_))
            earlier = list(self.history_)
        panel = input_spec.panel(values)
        seed = chunk_seed(_draw_seed(self.random_state), len(earlier))
        outcome, state = pretrain_on(
            _specs.pretraining_spec(self, seed),
            input_spec.training_panel(panel),
            _specs.fitted_model(start),
            getattr(self, "stream_state_", None),
            Watchers(printers(self, max_epochs=1)),
        )
        outcome.history[0]["epoch"] = len(earlier) + 1
        self._keep(outcome, earlier, input_spec, panel, values)
        self.stream_state_ = state
        _warn_of_collapse(outcome)
        return self

    @with_callbacks
    def _pretrain(self, X, values=None):
        """Pretrain, and return the panel of all channels that the series of X became.

        Parameters
        ----------
        X : array-like
            Series as the user gave them, for callbacks.
        values : ndarray or StoredPanel, default=None
            The same series if another estimator has validated them, and noted their features on
            this one. None validates X.
        """
        from fei_sklearn._bridge import pretraining

        _specs.check_readout(self)
        start = self._start()
        if values is None:
            values = check_panel(self, X, reset=True)
        input_spec = _specs.training_input(self, values, start)
        panel = input_spec.panel(values)
        earlier = list(self.history_) if start is self else []
        spec = _specs.pretraining_spec(self, _draw_seed(self.random_state))
        max_epochs = spec.optimisation.max_epochs

        def keep(embedder, outcome):
            embedder._keep(outcome, earlier, input_spec, panel, values)

        callbacks = EpochCallbacks(self, max_epochs, X, keep)
        outcome = pretraining.pretrain(
            spec,
            input_spec.training_panel(panel),
            _specs.fitted_model(start),
            Watchers([callbacks, *printers(self, max_epochs)]),
            callbacks.follow,
        )
        keep(self, outcome)
        if hasattr(self, "stream_state_"):
            del self.stream_state_
        _warn_of_collapse(outcome)
        callbacks.end()
        return panel

    def _start(self):
        """Return the fitted embedder to start from, or None."""
        if self.warm_start and hasattr(self, "weights_"):
            return self
        if self.pretrained is None:
            return None
        builder = self.encoder if callable(self.encoder) else None
        return type(self).from_pretrained(self.pretrained, encoder=builder)

    def _keep(self, outcome, earlier, input_spec, panel, values):
        """Keep the outcome of a pretraining, and the way from the series to their panel.

        Parameters
        ----------
        outcome : Pretrained
            Weights and history.
        earlier : list of dict
            Records of earlier epochs.
        input_spec : InputSpec
            Way from validated series to a panel.
        panel : Panel
            The panel.
        values : ndarray of shape (n_samples, n_channels, n_timepoints), or StoredPanel
            Validated series.
        """
        self.n_channels_in_ = values.shape[1]
        self.n_timepoints_in_ = min(panel.max_length, values.shape[2])
        self.min_timepoints_ = input_spec.min_timepoints
        self.offset_ = input_spec.scaler.offset
        self.scale_ = input_spec.scaler.scale
        self.separate_channels_ = input_spec.separate_channels
        self.weights_ = outcome.weights
        self.stage_widths_ = outcome.stage_widths
        self.stride_ = outcome.stride
        self.objective_ = outcome.objective
        self.reference_length_ = outcome.reference_length
        self.history_ = earlier + outcome.history
        self.best_epoch_ = len(earlier) + outcome.best_epoch
        self.n_iter_ = len(earlier) + len(outcome.history)

    def transform(self, X, out=None):
        """Embed series.

        The embedding of a series does not depend on the others in `X`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or \
(n_samples, n_channels, n_timepoints), or list of arrays of shape (n_channels, n_timepoints_i)
            Series. A 3-D panel may have other lengths than in `fit`. Memory maps and chunked arrays
            are read in parts, as in `fit`.
        out : array of shape (n_samples, n_features_out), default=None
            Where to write the embeddings, such as ``np.lib.format.open_memmap(file, "w+", ...)``,
            or an array of zarr or h5py; it is returned. None makes a new array.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out), float32
            Embeddings. A statistic of a stage has as many features as the stage is wide, for each
            channel if they are independent. With ``pooling=None`` the shape is
            (n_samples, n_steps, n_features_out), NaN beyond the end of shorter series.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ValueError
            If `X` has other dimensions or channels than in `fit`, or holds infinities; or if `out`
            does not fit.
        """
        values = self._values(X)
        from fei_sklearn._bridge.encoding import embed_values

        return embed_values(_specs.encoding_spec(self), values, out)

    def transform_chunks(self, X, *, n_rows=None):
        """Embed series part by part, for embeddings that are larger than memory, too.

        Parameters
        ----------
        X : array-like
            Series, as in `transform`.
        n_rows : int, default=None
            Series in a part. None takes as many as have 4 million values, and at least a tile of
            inference.

        Returns
        -------
        iterator of tuple of slice and ndarray
            The rows of a part, and their embeddings as `transform` gives them. While one part is
            embedded the next is read.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ValueError
            As in `transform`; for what is wrong with the values of a part, when its turn comes.
        """
        if n_rows is not None and n_rows < 1:
            raise ValueError(f"n_rows must be at least 1, got {n_rows}.")
        values = self._values(X)
        from fei_sklearn._bridge.encoding import embed_blocks

        return embed_blocks(_specs.encoding_spec(self), values, n_rows)

    def _values(self, X):
        """Return validated series, before their scaling."""
        check_is_fitted(self)
        self._validate_params()  # the readout may have been set since fit
        return check_panel(self, X, reset=False)

    def transform_sliding(self, X, *, window_length, step=1):
        """Embed what each moment of long series has behind it.

        A window of `window_length` time points slides over the series, and each of its positions is
        embedded like a series of its own: causally, as no embedding sees what comes after its
        window's end.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or (n_samples, n_channels, n_timepoints)
            Series of one length, of the dimensions seen in `fit`; of 2-D panels the length may
            differ from that in `fit`, and the window has to be as long.
        window_length : int
            Time points of a window.
        step : int, default=1
            Time points from one window to the next.

        Returns
        -------
        embeddings : ndarray of shape (n_samples, n_windows, n_features_out), float32
            Embeddings of the windows, as `transform` gives them.
        ends : ndarray of shape (n_windows,), int64
            Index of the last time point of each window.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ValueError
            If the window is longer than the series, or shorter than 2.
        """
        check_is_fitted(self)
        windows, ends = sliding_windows(X, window_length, step)
        embeddings = [np.asarray(self.transform(of_series)) for of_series in windows]
        return np.stack(embeddings), ends

    def step_positions(self, n_timepoints):
        """Time points at which the steps of ``pooling=None`` are centred.

        Parameters
        ----------
        n_timepoints : int
            Length of the series.

        Returns
        -------
        ndarray of shape (n_steps,), float64
            Positions; from 0.5 on, every 32 time points with ``stride=2``, every 2 with
            ``stride=1``; closer where a series is stretched to `min_timepoints`.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ValueError
            If the encoder is a user's own without a method ``step_positions``.
        """
        check_is_fitted(self)
        from fei_sklearn._bridge.encoding import step_positions

        stretched = max(n_timepoints, self.min_timepoints_ or 0)
        positions = step_positions(_specs.fitted_model(self), stretched)
        return positions * ((n_timepoints - 1) / (stretched - 1))

    @property
    def _n_features_out(self):
        return _specs.encoding_spec(self).n_features

    @property
    def encoder_(self):
        """The fitted encoder: a new torch module on the CPU, in evaluation mode."""
        check_is_fitted(self)
        from fei_sklearn._bridge.encoding import restore_encoder

        return restore_encoder(_specs.fitted_model(self))


def _draw_seed(random_state):
    """Draw the seed of a pretraining."""
    return int(check_random_state(random_state).randint(2**31 - 1))


def _warn_of_collapse(outcome):
    """Warn if all training series have nearly the same embedding."""
    if outcome.relative_deviation < COLLAPSE_DEVIATION:
        warnings.warn(
            "The embeddings of the training series differ by "
            f"{outcome.relative_deviation:.1e} of their size only: pretraining collapsed. Lower "
            "learning_rate or max_epochs, or raise mask_ratio.",
            CollapseWarning,
            stacklevel=3,
        )
