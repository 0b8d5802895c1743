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
from fei_sklearn.readout.spec import resolve

#: Maximum number of epochs of a pretraining from scratch.
DEFAULT_EPOCHS = 50


def max_epochs(embedder):
    """Return the maximum number of epochs, with a number for "auto"."""
    if embedder.max_epochs != "auto":
        return embedder.max_epochs
    if embedder.pretrained is None:
        return DEFAULT_EPOCHS
    return 0


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
    )


def check_readout(embedder):
    """Raise a ValueError if an embedder's readout parameters contradict each other."""
    _readout(embedder, stage_widths=(1,), n_encoded=1)


def fitted_readout(embedder):
    """Return the statistics, layers and views that a fitted embedder's parameters name."""
    stage_widths = embedder.stage_widths_
    # with an encoder of another architecture than FEI's, "auto" is the last map alone
    if callable(embedder.encoder) or not embedder.objective_.startswith("fei"):
        stage_widths = stage_widths[-1:]
    n_encoded = 1
    if embedder.separate_channels_:
        n_encoded = embedder.n_channels_in_
    return _readout(embedder, stage_widths, n_encoded)


def _readout(embedder, stage_widths, n_encoded):
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


def fitted_input(embedder):
    """Return the way from validated series to a fitted embedder's panel."""
    return InputSpec(
        scaler=Scaler(embedder.offset_, embedder.scale_),
        min_timepoints=embedder.min_timepoints_,
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
        The fitted embedder to start from. Its scaling is kept if it has the same channels.

    Raises
    ------
    ValueError
        If the encoder to start from mixes channels, and their number is another.
    """
    if start is None:
        return InputSpec(
            scaler=Scaler.fit(values, embedder.scaling),
            min_timepoints=embedder.min_timepoints,
            separate_channels=embedder.channels == "independent",
        )
    n_channels = values.shape[1]
    if start.offset_ is not None and len(start.offset_) == n_channels:
        scaler = Scaler(start.offset_, start.scale_)
    else:
        scaler = Scaler.fit(values, start.scaling)
    return InputSpec(scaler, start.min_timepoints_, _is_univariate(start, n_channels))


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
