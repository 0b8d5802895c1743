"""Specs of an embedder: from its parameters and fitted attributes to what the bridge takes."""

from __future__ import annotations

from fei_sklearn._bridge.spec import (
    EncoderSpec,
    EncodingSpec,
    FittedModel,
    InputSpec,
    MachineSpec,
    OptimisationSpec,
    PretrainingSpec,
)
from fei_sklearn._input.scaling import Scaler
from fei_sklearn._input.stretching import Stretching
from fei_sklearn._warnings import warn
from fei_sklearn.encoder.layout import DILATED
from fei_sklearn.objectives import RIVALS
from fei_sklearn.readout.spec import FrontSpec, resolve, resolve_front

#: Maximum number of epochs of a pretraining from scratch.
DEFAULT_EPOCHS = 50

#: The same for the encoder "dilated", whose default readout gains nothing from more epochs.
DILATED_EPOCHS = 3

#: Length to which the encoder "dilated" has shorter series stretched, about the span of its kernels
#: of dilation 8.
DILATED_TIMEPOINTS = 64


def max_epochs(embedder):
    """Return the maximum number of epochs, with a number for "auto"."""
    if embedder.max_epochs != "auto":
        return embedder.max_epochs
    if embedder.pretrained is not None:
        return 0
    if embedder.encoder == DILATED:
        return DILATED_EPOCHS
    return DEFAULT_EPOCHS


def min_timepoints(embedder):
    """Return the length to which shorter series are stretched, with a number or None for "auto"."""
    if embedder.min_timepoints != "auto":
        return embedder.min_timepoints
    if embedder.encoder == DILATED:
        return DILATED_TIMEPOINTS
    return None


def pretraining_spec(embedder, seed):
    """Return the pretraining that an embedder's parameters describe."""
    optimisation = OptimisationSpec(
        max_epochs=max_epochs(embedder),
        min_epoch_steps=embedder.min_epoch_steps,
        batch_size=embedder.batch_size,
        learning_rate=embedder.learning_rate,
        lr_decay=embedder.lr_decay,
        n_iter_no_change=embedder.n_iter_no_change,
        precision=embedder.precision,
        momentum=embedder.momentum,
    )
    return PretrainingSpec(
        objective=embedder.objective,
        objective_options={
            "mask_ratio": embedder.mask_ratio,
            "mask_kind": embedder.mask_kind,
            "n_targets": embedder.n_targets,
        },
        encoder=EncoderSpec(embedder.encoder, embedder.stride),
        layers=embedder.layers,
        optimisation=optimisation,
        validation_fraction=embedder.validation_fraction or 0.0,
        machine=machine_spec(embedder),
        checkpoint_dir=embedder.checkpoint_dir,
        seed=seed,
        is_repeatable=embedder.random_state is not None,
        n_components=embedder.n_components,
        recalibrates=embedder.calibration == "panel",
    )


def machine_spec(embedder):
    """Return the devices and threads that an embedder computes on."""
    return MachineSpec(embedder.device, embedder.n_devices, embedder.n_jobs)


def fitted_model(embedder):
    """Return the model of a fitted embedder, or None of None."""
    if embedder is None:
        return None
    return FittedModel(
        weights=embedder.weights_,
        objective=embedder.objective_,
        reference_length=embedder.reference_length_,
        stage_widths=tuple(embedder.stage_widths_),
        stride=int(embedder.stride_),
        n_channels=embedder.n_channels_in_,
        separate_channels=embedder.separate_channels_,
        build_encoder=users_builder(embedder),
        architecture=embedder.architecture_,
    )


def users_builder(embedder):
    """Return the user's own builder of the encoder, or None if there is none."""
    if callable(embedder.encoder):
        return embedder.encoder
    return None


def encoding_spec(embedder, owner=None):
    """Return all that decides the embeddings of a fitted embedder.

    Parameters
    ----------
    embedder : FEIEmbedder
        The fitted embedder.
    owner : object, default=None
        For whom the restored encoder is kept, if `embedder` is a twin; None is the embedder.
    """
    return EncodingSpec(
        model=fitted_model(embedder),
        readout=fitted_readout(embedder),
        input=fitted_input(embedder),
        machine=machine_spec(embedder),
        owner=owner or embedder,
        n_components=embedder.n_components,
    )


def check_readout(embedder, start=None):
    """Raise a ValueError if an embedder's parameters contradict each other or its encoder.

    Parameters
    ----------
    embedder : FEIEmbedder
        The embedder.
    start : FEIEmbedder, default=None
        The fitted embedder to start from.

    Warns
    -----
    UserWarning
        If `n_components` has no effect. It is no error, since scikit-learn's estimator checks set
        it on every estimator that has it.
    """
    has_front = embedder.encoder == DILATED
    mixes_channels = embedder.channels == "mix"
    if start is not None:
        has_front = _has_front(start)
        mixes_channels = not start.separate_channels_
    if has_front and mixes_channels:
        raise ValueError(
            "The encoder 'dilated' reads one channel at a time, so it cannot have channels='mix': "
            "use channels='independent', or another encoder, such as encoder='small'."
        )
    _readout(embedder, stage_widths=(1,), n_encoded=1, has_front=has_front)
    if embedder.n_components is not None and not has_front:
        warn(
            f"n_components={embedder.n_components} has no effect on an encoder without a front "
            "end: use encoder='dilated' or pretrained='default' for short embeddings.",
        )


def _has_front(embedder):
    """Return whether a fitted embedder's encoder has a dilated front end to read."""
    return embedder.objective_ not in RIVALS and embedder.architecture_ == DILATED


def gives_principal_axes(embedder):
    """Return whether embeddings are principal axes, whose scales tell a head how much they matter.

    Parameters
    ----------
    embedder : FEIEmbedder
        Fitted or not. The parameter `n_components` decides; it has no effect on a fitted encoder
        without a front end.
    """
    if embedder.n_components is None:
        return False
    is_fitted = hasattr(embedder, "weights_")
    return not is_fitted or _has_front(embedder)


def fitted_readout(embedder):
    """Return the readout that a fitted embedder's parameters name.

    Returns
    -------
    ReadoutSpec or FrontSpec
        Statistics, layers and views; or views and groups of kernels of the front.
    """
    stage_widths = embedder.stage_widths_
    # with an encoder of another architecture than FEI's, "auto" is the last map alone
    if callable(embedder.encoder) or embedder.objective_ in RIVALS:
        stage_widths = stage_widths[-1:]
    n_encoded = 1
    if embedder.separate_channels_:
        n_encoded = embedder.n_channels_in_
    has_front = _has_front(embedder)
    return _readout(embedder, stage_widths, n_encoded, has_front)


def _readout(embedder, stage_widths, n_encoded, has_front):
    reads_front = embedder.pooling in ("auto", "small") and embedder.layers == "auto"
    if has_front and reads_front:
        if embedder.n_components is None:
            return resolve_front(embedder.pooling, embedder.views, n_encoded=n_encoded)
        _check_reads_all_of_front(embedder)
        return FrontSpec()
    if has_front and embedder.n_components is not None:
        raise ValueError(
            f"n_components={embedder.n_components} needs the readout of the front end: use "
            "pooling='auto' and layers='auto'."
        )
    spec = resolve(
        embedder.pooling,
        embedder.layers,
        embedder.views,
        stage_widths=stage_widths,
        n_encoded=n_encoded,
    )
    reads_several_maps = spec.layers != "last" or len(spec.views) > 1
    if not spec.statistics and reads_several_maps:
        raise ValueError(
            "pooling=None gives the steps of one map, and those of several layers or views differ "
            f"in number: use layers='last' and one view, not layers={embedder.layers!r} and "
            f"views={embedder.views!r}, or pool them."
        )
    return spec


def _check_reads_all_of_front(embedder):
    """Raise a ValueError if principal axes would have to project other features than theirs."""
    if embedder.pooling != "auto" or embedder.views != "auto":
        raise ValueError(
            "n_components projects the default readout: use pooling='auto' and views='auto' with "
            f"it, not pooling={embedder.pooling!r} and views={embedder.views!r}."
        )


def fitted_input(embedder):
    """Return the way from validated series to a fitted embedder's panel."""
    return InputSpec(
        scaler=Scaler(embedder.offset_, embedder.scale_),
        stretching=Stretching(embedder.min_timepoints_, embedder.stretch_),
        separate_channels=embedder.separate_channels_,
    )


def training_input(embedder, values, start):
    """Return the way from validated series to the panel that an embedder trains on.

    Parameters
    ----------
    embedder : FEIEmbedder
        The embedder, whose parameters count if there is no start.
    values : ndarray of shape (n_samples, n_channels, n_timepoints), or StoredPanel
        Validated series.
    start : FEIEmbedder or None
        The fitted embedder to start from. Its scaling is kept if it has the same channels, and its
        factor of stretching if it has one, unless the embedder is calibrated on its panel.

    Raises
    ------
    ValueError
        If the encoder to start from mixes channels, and their number is another.
    """
    if start is None:
        return InputSpec(
            scaler=Scaler.fit(values, embedder.scaling),
            stretching=Stretching.fit(values, min_timepoints(embedder)),
            separate_channels=embedder.channels == "independent",
        )
    n_channels = values.shape[1]
    is_fixed = embedder.calibration == "fixed"
    has_scaling = start.offset_ is not None and len(start.offset_) == n_channels
    if has_scaling and is_fixed:
        scaler = Scaler(start.offset_, start.scale_)
    else:
        scaler = Scaler.fit(values, start.scaling)
    if start.stretch_ is not None and is_fixed:
        stretching = Stretching(start.min_timepoints_, start.stretch_)
    else:
        stretching = Stretching.fit(values, start.min_timepoints_)
    return InputSpec(scaler, stretching, _is_univariate(start, n_channels))


def _is_univariate(start, n_channels):
    """Return whether the encoder to start from takes channels one by one, or raise."""
    if start.separate_channels_ or start.n_channels_in_ == 1:
        return True
    if n_channels != start.n_channels_in_:
        raise ValueError(
            f"X has {n_channels} channels, but the weights to start from were trained on "
            f"{start.n_channels_in_}: give X {start.n_channels_in_} channels, or start from a "
            "model that was trained with channels='independent'."
        )
    return False
