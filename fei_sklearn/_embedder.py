"""FEIEmbedder: transformer that pretrains an encoder in `fit` and embeds series in `transform`.

Here are its parameters and the pretraining. :mod:`fei_sklearn._transform` has the methods that
compute with a fitted encoder.
"""

from __future__ import annotations

import os
from dataclasses import replace
from numbers import Integral, Real

from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import StrOptions

from fei_sklearn import _specs
from fei_sklearn._bridge.seeds import chunk_seed
from fei_sklearn._fitting.callbacks import CallbackSupportMixin, EpochCallbacks, with_callbacks
from fei_sklearn._fitting.collapse import warn_of_collapse
from fei_sklearn._fitting.printing import printers
from fei_sklearn._fitting.rollback import all_or_nothing
from fei_sklearn._fitting.watchers import Watchers
from fei_sklearn._input.checks import check_panel
from fei_sklearn._input.numbers import Number
from fei_sklearn._saving.mixin import SavingMixin
from fei_sklearn._saving.state import warn_of_dropped_weights
from fei_sklearn._transform import EmbeddingMixin
from fei_sklearn.objectives import OBJECTIVES
from fei_sklearn.readout.spec import FRONT_VIEWS, LAYERS, STATISTICS

# The methods that compute import torch, with modules of fei_sklearn._bridge.

#: Parameters that pickles of older versions lack, and their values.
LATER_PARAMETERS = {"n_components": None, "calibration": "fixed"}

#: Largest width of an encoder. Its widest layer then takes 12 GB, and a mistyped number is refused.
LARGEST_WIDTH = 2**15


class FEIEmbedder(CallbackSupportMixin, EmbeddingMixin, SavingMixin, BaseEstimator):
    """Embeddings of time series by Frequency-masked Embedding Inference.

    `fit` pretrains an encoder without labels. A mask removes frequencies of a series, and a prompt
    names them. The encoder learns to infer the embedding of the masked series from the embedding of
    the whole series and the prompt, and to infer the prompt from both embeddings. `transform`
    returns one vector per series.

    Parameters
    ----------
    encoder : {"dilated", "tiny", "small", "norm", "big"}, int or callable, default="dilated"
        "dilated" is a bank of dilated convolutions whose maps are the readout, and a thin residual
        body behind it. The others are the paper's residual network: a published size, of width 128,
        256, 512 or 1024, or another width, a multiple of 8. A callable from the number of channels
        returns a torch module, which maps (n_samples, n_channels, n_timepoints) to (n_samples,
        width, n_steps).
    objective : str, default="fei"
        Method of pretraining: FEI; FEI without one of its components, such as
        "fei-no-mask-prompt"; or a method that it is compared with, such as "ts2vec".
        `fei_sklearn.objectives.OBJECTIVES` lists the names, `docs/rivals.md` describes the methods.
        Only FEI uses `mask_ratio`, `mask_kind`, `n_targets` and `momentum`.
    mask_ratio : float or pair of float, default=(0.0, 0.7)
        Lowest and highest share of the frequencies that a mask removes, in [0, 1); a number r
        means (0, r).
    mask_kind : {"discrete", "continuous", "temporal"}, default="discrete"
        Remove single frequencies, a band of them, or time points.
    n_targets : int, default=1
        Masked versions of each series per step.
    momentum : float, default=0.995
        Momentum of the target encoder at the start; it grows linearly to 1 over the run.
    stride : {1, 2}, default=2
        Stride of the encoder's stages.
    channels : {"independent", "mix"}, default="independent"
        "independent" embeds each channel with one univariate encoder and concatenates the
        embeddings; with "mix" the encoder's first convolution mixes the channels, which the encoder
        "dilated" cannot.
    scaling : {"channel", "series", None}, default="channel"
        "channel" centres and scales each channel by its mean and standard deviation over the
        training panel, which keeps levels and amplitudes. "series" takes the mean and standard
        deviation of each series, for panels whose levels and amplitudes mean nothing. None does not
        scale.
    min_timepoints : int, "auto" or None, default="auto"
        Length to which a panel of shorter series is stretched, by linear interpolation: one factor
        for all series brings the longest of `fit` to this length. "auto" is 64 for the encoder
        "dilated", and None for other encoders. None stretches no series. A checkpoint that is
        used without a panel stretches each shorter series to its own `min_timepoints`.
    pooling : {"auto", "small", "mean", "max", "std", "ppv"}, tuple of these, or None, \
default="auto"
        Statistics over time that `transform` returns. With the encoder "dilated", "auto" reads the
        maps of the convolutions: maxima, shares of the time above four thresholds, and how often
        and how far a kernel leads its group of eight, on four views, 2,688 features in all. "small"
        reads one of the two groups of kernels, 1,344 features; so does "auto" for several channels,
        each of which has its own features. All other readouts are statistics of the body's maps.
        "mean" is the readout of the paper. "ppv" are MiniRocket's proportions of positive values:
        the shares of the time that a feature is above nine biases, which are its deciles over the
        training panel. The last stage has five of the biases; in the first two stages three of them
        also apply to each half of the series. "max", "std" and "ppv" are computed on the sums
        before a map's last GELU. With the paper's encoders, "auto" takes the mean, the maximum and
        "ppv" of both blocks of all stages, on three views of a univariate series; for more channels
        and wider encoders it takes fewer of them, so that there are at most about 40,000 features.
        "small" is the leanest of these. None returns the encoder's map step by step, see
        `step_positions`.
    layers : {"auto", "last", "all", "blocks"}, default="auto"
        Layers to pool: the last stage of the encoder, as in the paper; all four stages; or both
        blocks of all four stages. "auto" is the last stage, unless pooling is "auto" as well.
    views : {"auto", "level", "shape", "change", "halved", "sum"} or tuple of these, \
default="auto"
        Views of a series whose embeddings are concatenated: the series as scaled; each series
        standardised by its own mean and standard deviation; or its first differences, standardised
        likewise. The encoder "dilated" also has the series at half the resolution, and its running
        sum. "auto" is "level", unless pooling is "auto" as well; with the encoder "dilated" it is
        ("level", "change", "halved", "sum"), and ("shape", "change", "halved", "sum") needs no
        scale of a panel.
    n_components : int or None, default=None
        Length of a short embedding: the features of the encoder "dilated" are projected on that
        many principal axes. With `pretrained` and ``calibration="fixed"`` they are the model's.
        Otherwise `fit` computes them on its panel, which keeps 2 to 3 points more of accuracy. A
        panel has fewer axes than series; what is missing is 0, and `fit` warns. A StandardScaler
        behind such embeddings costs 1 to 6 points. None projects nothing. Other encoders have no
        such axes: `fit` warns that the parameter has no effect on them.
    calibration : {"fixed", "panel"}, default="fixed"
        Panel whose statistics calibrate a pretrained model. "fixed" keeps the statistics of its
        pretraining. With "panel" `fit` takes batch norm's scale, the thresholds and principal axes
        of the encoder "dilated" and the scaling from its own panel. A fit from scratch, or with
        further training, always takes its own.
    max_epochs : int or "auto", default="auto"
        Maximum number of epochs. "auto" is 3 for the encoder "dilated", whose default readout gains
        nothing from more, and 50 for other encoders, see docs/benchmarks/from_scratch.md. It is 0
        with `pretrained`: further pretraining on up to 1,000 series gained nothing measurable. 0
        leaves the encoder untrained, with calibrated batch norm, or `pretrained` unchanged.
    min_epoch_steps : int, default=10
        Minimum number of optimiser steps per epoch: an epoch passes over a small panel several
        times. With 1 an epoch is one pass, as in the paper.
    batch_size : int or "auto", default="auto"
        Series per step of pretraining. "auto" is the power of 2 nearest to an eighth of the panel,
        from 16 to the paper's 512, because small panels gain from many small steps. Independent
        channels count as series.
    learning_rate : float, default=1e-3
        Peak learning rate of AdamW; 2e-4 in the paper.
    lr_decay : float or "cosine", default="cosine"
        Half a cosine over the run after a short warm-up, or a factor after each epoch (0.9 in the
        paper).
    validation_fraction : float or None, default=0.1
        Share of the series that validate for early stopping. With None, with 0, and on panels of
        fewer than 8 series, all series train to the end.
    n_iter_no_change : int or None, default=5
        Epochs without improvement after which training stops; None never stops early. The best
        weights are restored in any case.
    warm_start : bool, default=False
        Whether to start from the weights of the last fit.
    pretrained : str, path-like or None, default=None
        Model to start from: a folder that `save` wrote, the name of a bundled checkpoint, such as
        the recommended "default", or "owner/name" on the Hugging Face hub, with a branch, tag or
        commit as in "owner/name@v1". `encoder`, `objective`, `stride`, `channels`, `scaling` and
        `min_timepoints` are then the model's. Its weights change only if `max_epochs` is a number
        of epochs; `fit` always computes the biases of "ppv" on its panel.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1", "mps" or "xpu"; "auto" is the accelerator that torch finds.
    n_devices : int or "auto", default=1
        Number of devices, each with its own process, that share every batch of pretraining and the
        rows of `transform`; on the CPU, number of processes and threads. `batch_size` is the size
        of the whole batch, and the losses are the same as on a single device. "auto" takes all CUDA
        devices, or the processes that torchrun or SLURM has started, each of which calls `fit`.
        Rivals of FEI train on one device.
    precision : {"auto", "32-true", "64-true", "16-mixed", "bf16-mixed"}, default="auto"
        Precision of pretraining. "auto" is float32 on the CPU, and mixed with bfloat16 on CUDA.
    n_jobs : int or None, default=None
        Number of torch's CPU threads during fit and transform. None leaves it as it is, -1 is one
        per core.
    checkpoint_dir : str, path-like or None, default=None
        Folder in which `fit` stores its state about once a second. After its process was killed,
        the same fit resumes from there, and ends with the same weights, bit by bit on one CPU
        thread. Every run, such as each one of a grid search, has a subfolder of its own, which also
        keeps its outcome: the same fit again loads it. Needs a `random_state`. None writes nothing.
    random_state : int, RandomState instance or None, default=None
        Source of all randomness. Fits with the same integer return the same embeddings, bit by bit
        on one CPU thread.
    verbose : int, default=0
        Number of epochs per printed line; 0 prints nothing.

    Attributes
    ----------
    weights_ : dict of str to ndarray
        Weights of encoder, prompts and heads, and biases, thresholds and principal axes of the
        readout.
    objective_ : str
        Method that pretrained the weights.
    history_ : list of dict
        One record per epoch: losses on training and validation series, learning rate, momentum,
        seconds.
    n_iter_ : int
        Number of epochs trained.
    best_epoch_ : int
        Epoch, counted from 1, whose weights were kept.
    n_features_in_ : int
        Number of time points of a 2-D panel, or of channels of a 3-D one.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X was a frame with string names.
    n_channels_in_ : int
        Number of channels of the panel in `fit`.
    n_timepoints_in_ : int
        Length of the longest series in `fit`.
    input_ndim_ : {2, 3}
        Number of dimensions of the panel in `fit`.
    stream_state_ : dict of str to ndarray
        After `partial_fit` only: momentum copies and AdamW's moments, which the next chunk needs.

    See Also
    --------
    FEIClassifier, FEIRegressor : The encoder and a linear head, fine-tuned end to end.
    fei_sklearn.adapters.sktime.FEITransformer : The same for sktime's containers and pipelines.
    fei_sklearn.displays.PretrainingDisplay : A picture of `history_`.

    References
    ----------
    E. Fu and Y. Hu, "Frequency-Masked Embedding Inference: A Non-Contrastive Approach for Time
    Series Representation Learning", AAAI 2025, 39(16), 16639-16647.

    Examples
    --------
    >>> from sktime.datasets import load_unit_test
    >>> from fei_sklearn import FEIEmbedder
    >>> X, y = load_unit_test(split="train", return_type="numpy3d")
    >>> embedder = FEIEmbedder(max_epochs=2, random_state=0)
    >>> embedder.fit_transform(X).shape
    (20, 2688)
    >>> embedder.set_params(pooling="mean").transform(X).shape
    (20, 128)
    """

    #: Architecture of the encoder in pickles of versions that had only one.
    architecture_ = "residual"

    #: Models of versions that stretched each short series by itself still do.
    stretch_ = None

    _doc_link_module = "fei_sklearn"
    _doc_link_template = (
        "https://fei-sklearn.github.io/fei-sklearn/generated/fei_sklearn.{estimator_name}.html"
    )

    _parameter_constraints = {
        "encoder": [
            StrOptions({"tiny", "small", "norm", "big", "dilated"}),
            Number(Integral, 8, LARGEST_WIDTH, closed="both"),
            callable,
        ],
        "objective": [StrOptions(set(OBJECTIVES))],
        "mask_ratio": [Number(Real, 0, 1, closed="left"), tuple, list],
        "mask_kind": [StrOptions({"discrete", "continuous", "temporal"})],
        "n_targets": [Number(Integral, 1, None, closed="left")],
        "momentum": [Number(Real, 0, 1, closed="both")],
        "stride": [Number(Integral, 1, 2, closed="both")],
        "channels": [StrOptions({"mix", "independent"})],
        "scaling": [StrOptions({"series", "channel"}), None],
        "min_timepoints": [StrOptions({"auto"}), Number(Integral, 2, None, closed="left"), None],
        "pooling": [StrOptions({"auto", "small", *STATISTICS}), tuple, list, None],
        "layers": [StrOptions({"auto", *LAYERS})],
        "views": [StrOptions({"auto", *FRONT_VIEWS}), tuple, list],
        "n_components": [Number(Integral, 1, None, closed="left"), None],
        "calibration": [StrOptions({"fixed", "panel"})],
        "max_epochs": [StrOptions({"auto"}), Number(Integral, 0, None, closed="left")],
        "min_epoch_steps": [Number(Integral, 1, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Number(Integral, 1, None, closed="left")],
        "learning_rate": [Number(Real, 0, None, closed="neither")],
        "lr_decay": [StrOptions({"cosine"}), Number(Real, 0, 1, closed="right")],
        "validation_fraction": [Number(Real, 0, 1, closed="left"), None],
        "n_iter_no_change": [Number(Integral, 1, None, closed="left"), None],
        "warm_start": ["boolean"],
        "pretrained": [str, os.PathLike, None],
        "device": [str],
        "n_devices": [StrOptions({"auto"}), Number(Integral, 1, None, closed="left")],
        "precision": [
            StrOptions({"auto", "32-true", "64-true", "16-mixed", "bf16-mixed"}),
        ],
        "n_jobs": [Number(Integral, None, None, closed="neither"), None],
        "checkpoint_dir": [str, os.PathLike, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        encoder="dilated",
        *,
        objective="fei",
        mask_ratio=(0.0, 0.7),
        mask_kind="discrete",
        n_targets=1,
        momentum=0.995,
        stride=2,
        channels="independent",
        scaling="channel",
        min_timepoints="auto",
        pooling="auto",
        layers="auto",
        views="auto",
        n_components=None,
        calibration="fixed",
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
        self.n_components = n_components
        self.calibration = calibration
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

    def __setstate__(self, state):
        super().__setstate__(LATER_PARAMETERS | state)

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
            Series of at least 2 time points; NaN where a value is missing. Frames are wide, with
            one row per series. Memory maps, such as ``np.load(file, mmap_mode="r")``, and chunked
            arrays, such as those of zarr, h5py and dask, are read block by block.
        y : None
            Ignored.

        Returns
        -------
        self : FEIEmbedder
            The fitted embedder.

        Raises
        ------
        ValueError
            If a parameter or the panel is out of bounds, or a loss is not finite. The embedder
            stays unchanged.
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

        The first chunk fixes the scaling. Every chunk is trained on for one epoch of at least
        `min_epoch_steps` steps, without validation. Learning rate and momentum are constant,
        because the end of the stream is not known. The optimiser's moments and the momentum copies
        are kept from chunk to chunk. Batch-norm statistics and the biases of "ppv" come from the
        last chunk, so chunks should have some hundred series, in random order. After `fit`, or with
        `pretrained`, the stream starts from those weights. `max_epochs`, `lr_decay`,
        `validation_fraction`, `n_iter_no_change`, `warm_start` and `checkpoint_dir` are ignored.

        Parameters
        ----------
        X : array-like
            Series, as in `fit`. Later chunks have the dimensions and channels of the first.
        y : None
            Ignored.

        Returns
        -------
        self : FEIEmbedder
            The fitted embedder. Its pickle includes the state of the stream, and is about three
            times as large as the weights. A folder that `save` writes has no such state: after
            `load` the optimiser and the momentum copies start afresh. `fit` drops the state.

        Raises
        ------
        ValueError
            As in `fit`, if a chunk has other channels than the first, or if the objective keeps
            more than its weights from step to step.

        Warns
        -----
        CollapseWarning
            If all series of the chunk have nearly the same embedding.
        """
        from fei_sklearn._bridge.stream import pretrain_on

        goes_on = hasattr(self, "weights_")
        start = self if goes_on else self._start()
        _specs.check_readout(self, start)
        values = check_panel(self, X, reset=not goes_on)
        input_spec = _specs.training_input(self, values, start)
        earlier = []
        if goes_on:
            fitted = _specs.fitted_input(self)
            input_spec = replace(input_spec, scaler=fitted.scaler, stretching=fitted.stretching)
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
        warn_of_collapse(outcome.relative_deviation)
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

        start = self._start()
        if start is None:
            warn_of_dropped_weights(self)
        _specs.check_readout(self, start)
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
        warn_of_collapse(outcome.relative_deviation)
        callbacks.end()
        return panel

    def _start(self):
        """Return the fitted embedder to start from, or None."""
        if self.warm_start and hasattr(self, "weights_"):
            return self
        if self.pretrained is None:
            return None
        builder = _specs.users_builder(self)
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
        self.min_timepoints_ = input_spec.stretching.at_least
        self.stretch_ = input_spec.stretching.factor
        self.offset_ = input_spec.scaler.offset
        self.scale_ = input_spec.scaler.scale
        self.separate_channels_ = input_spec.separate_channels
        self.weights_ = outcome.weights
        if hasattr(self, "_is_trained_elsewhere"):
            del self._is_trained_elsewhere
        self.stage_widths_ = outcome.stage_widths
        self.stride_ = outcome.stride
        self.architecture_ = outcome.architecture
        self.objective_ = outcome.objective
        self.reference_length_ = outcome.reference_length
        self.history_ = earlier + outcome.history
        self.best_epoch_ = len(earlier) + outcome.best_epoch
        self.n_iter_ = len(earlier) + len(outcome.history)


def _draw_seed(random_state):
    """Draw the seed of a pretraining."""
    return int(check_random_state(random_state).randint(2**31 - 1))
