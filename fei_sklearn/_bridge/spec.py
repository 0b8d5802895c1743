"""Frozen descriptions that estimators hand to the torch modules below; free of torch.

The estimators make them from their parameters and fitted attributes. The bridge reads nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fei_sklearn._bridge.weight_names import Weights
from fei_sklearn._input.preparation import to_panel
from fei_sklearn._input.scaling import Scaler
from fei_sklearn._input.stored import StoredPanel
from fei_sklearn._input.stretching import Stretching
from fei_sklearn.encoder.layout import DILATED, RESIDUAL
from fei_sklearn.readout.spec import FrontSpec, ReadoutSpec

if TYPE_CHECKING:
    from fei_sklearn.data import Panel

#: A user's own function from a number of channels to a torch module.
EncoderBuilder = Callable[[int], object]

#: Bounds of the batch size "auto", as powers of 2: 16 and the paper's 512.
SMALLEST_BATCH_POWER = 4
LARGEST_BATCH_POWER = 9


@dataclass(frozen=True)
class EncoderSpec:
    """Architecture of an encoder.

    Attributes
    ----------
    size : str, int or callable
        Published size, "dilated", width, or a user's own builder from a number of channels to a
        torch module.
    stride : int
        Stride of the stages.
    """

    size: str | int | EncoderBuilder
    stride: int

    @property
    def architecture(self) -> str:
        """Name of the architecture, if it is one of the package's."""
        if self.size == DILATED:
            return DILATED
        return RESIDUAL


@dataclass(frozen=True)
class MachineSpec:
    """Devices and threads to compute on.

    Attributes
    ----------
    device : str
        Name of a device, or "auto".
    n_devices : int or "auto", default=1
        Number of devices.
    n_jobs : int or None, default=None
        Number of torch's CPU threads; None leaves it as it is.
    """

    device: str
    n_devices: int | str = 1
    n_jobs: int | None = None


@dataclass(frozen=True)
class OptimisationSpec:
    """Length and settings of a training run.

    Attributes
    ----------
    max_epochs : int
        Maximum number of epochs.
    min_epoch_steps : int
        Minimum number of optimiser steps per epoch.
    batch_size : int or "auto"
        Series per step.
    learning_rate : float
        Peak learning rate of AdamW.
    lr_decay : float or "cosine"
        Factor on the learning rate after each epoch, or half a cosine over the run.
    n_iter_no_change : int or None
        Epochs without improvement after which training stops.
    precision : str
        Lightning Fabric's name of the precision, or "auto".
    momentum : float, default=1.0
        Momentum of the target encoder at the start.
    """

    max_epochs: int
    min_epoch_steps: int
    batch_size: int | str
    learning_rate: float
    lr_decay: float | str
    n_iter_no_change: int | None
    precision: str
    momentum: float = 1.0

    def batch_size_for(self, n_series: int) -> int:
        """Return the given batch size, or the power of 2 nearest to an eighth of the panel."""
        if self.batch_size != "auto":
            return int(self.batch_size)
        power = np.rint(np.log2(n_series / 8))
        return int(2 ** np.clip(power, SMALLEST_BATCH_POWER, LARGEST_BATCH_POWER))


@dataclass(frozen=True)
class PretrainingSpec:
    """A pretraining, as the parameters of an embedder describe it.

    Attributes
    ----------
    objective : str
        Name of the objective.
    objective_options : mapping of str to object
        Parameters for the objective, which takes only the ones that its `options` name.
    encoder : EncoderSpec
        Architecture of the encoder, unless the pretraining starts from a model.
    layers : str
        Layers that `transform` pools; the encoder must have them.
    optimisation : OptimisationSpec
        Length and settings of the training run.
    validation_fraction : float
        Share of the series that validate.
    machine : MachineSpec
        Devices and threads to compute on.
    checkpoint_dir : str, path-like or None
        Folder of the states of training runs; None writes nothing.
    seed : int
        Source of all randomness.
    is_repeatable : bool
        Whether the user gave a `random_state`, so that another call draws the same seed.
    n_components : int or None, default=None
        Number of principal axes to fit, if the model to start from has none; None fits no axes.
    recalibrates : bool, default=False
        Whether batch norm and the thresholds of the front are computed on the panel, even if the
        weights of a model are used as they are.
    """

    objective: str
    objective_options: Mapping[str, object]
    encoder: EncoderSpec
    layers: str
    optimisation: OptimisationSpec
    validation_fraction: float
    machine: MachineSpec
    checkpoint_dir: str | os.PathLike[str] | None
    seed: int
    is_repeatable: bool
    n_components: int | None = None
    recalibrates: bool = False


@dataclass(frozen=True)
class FinetuningSpec:
    """A fine-tuning, as the parameters of a classifier or regressor describe it.

    Attributes
    ----------
    freeze_encoder : bool
        Whether the head trains alone, on fixed embeddings.
    optimisation : OptimisationSpec
        Length and settings of the training run.
    machine : MachineSpec
        Device and threads to compute on.
    class_weight : ndarray of shape (n_classes,) or None
        Weights of the classes in the loss.
    seed : int
        Source of all randomness.
    """

    freeze_encoder: bool
    optimisation: OptimisationSpec
    machine: MachineSpec
    class_weight: np.ndarray | None
    seed: int


@dataclass(frozen=True)
class FittedModel:
    """A pretrained model as arrays.

    Attributes
    ----------
    weights : dict of str to ndarray
        Weights of the encoder, of its "ppv" biases, thresholds and principal axes, and of what
        trained it.
    objective : str
        Name of the objective that trained it.
    reference_length : int
        Length of the series that the objective was built for.
    stage_widths : tuple of int
        Features of the encoder's maps.
    stride : int
        Stride of the encoder's stages.
    n_channels : int
        Channels of the training panel.
    separate_channels : bool
        Whether the encoder is univariate and embeds each channel by itself.
    build_encoder : callable or None
        The user's own builder of the encoder; None is an encoder of the package.
    architecture : {"residual", "dilated"}, default="residual"
        Architecture of an encoder of the package.
    """

    weights: Weights
    objective: str
    reference_length: int
    stage_widths: tuple[int, ...]
    stride: int
    n_channels: int
    separate_channels: bool
    build_encoder: EncoderBuilder | None
    architecture: str = RESIDUAL

    @property
    def encoder_channels(self) -> int:
        """Channels that the encoder takes."""
        if self.separate_channels:
            return 1
        return self.n_channels


@dataclass(frozen=True)
class InputSpec:
    """The way from validated series to an encoder's panel.

    Attributes
    ----------
    scaler : Scaler
        Scaling of the channels.
    stretching : Stretching
        Lengths to which short series are stretched.
    separate_channels : bool
        Whether a univariate encoder embeds each channel by itself.
    """

    scaler: Scaler
    stretching: Stretching
    separate_channels: bool

    def panel(self, values: np.ndarray | StoredPanel) -> Panel:
        """Return validated series scaled, filled and stretched, with all their channels."""
        return to_panel(values, self.scaler, self.stretching)

    def training_panel(self, panel: Panel) -> Panel:
        """Return a panel as pretraining takes it: by channel, where the encoder is univariate."""
        if self.separate_channels:
            return panel.univariate()
        return panel


@dataclass(frozen=True)
class EncodingSpec:
    """Everything that decides the embedding of a series.

    Attributes
    ----------
    model : FittedModel
        The pretrained model.
    readout : ReadoutSpec or FrontSpec
        Statistics, layers and views; or views and groups of kernels of the front.
    input : InputSpec
        The way from validated series to the encoder's panel.
    machine : MachineSpec
        Devices and threads to compute on.
    owner : object
        Hashed by identity. While this object lives, the restored encoder is kept for it.
    n_components : int or None, default=None
        Number of principal axes that the features of the front are projected on.
    """

    model: FittedModel
    readout: ReadoutSpec | FrontSpec
    input: InputSpec
    machine: MachineSpec
    owner: object
    n_components: int | None = None

    @property
    def n_features(self) -> int:
        """Length of an embedding; with ``pooling=None``, of a step's."""
        n_per_channel = self._n_features_per_channel()
        if self.model.separate_channels:
            return self.model.n_channels * n_per_channel
        return n_per_channel

    def _n_features_per_channel(self) -> int:
        if not isinstance(self.readout, FrontSpec):
            return self.readout.n_features(self.model.stage_widths)
        if self.n_components is not None:
            return self.n_components
        return self.readout.n_features

    @property
    def gives_steps(self) -> bool:
        """Whether an embedding is a vector per step, not per series."""
        return isinstance(self.readout, ReadoutSpec) and not self.readout.statistics

    @property
    def feature_names(self) -> list[str] | None:
        """Names of the features of the front; None for readouts without named features."""
        if not isinstance(self.readout, FrontSpec):
            return None
        names = self._names_per_channel(self.readout)
        n_channels = 1
        if self.model.separate_channels:
            n_channels = self.model.n_channels
        if n_channels == 1:
            return names
        return [f"channel{channel}_{name}" for channel in range(n_channels) for name in names]

    def _names_per_channel(self, readout: FrontSpec) -> list[str]:
        if self.n_components is not None:
            return [f"axis_{index}" for index in range(self.n_components)]
        names = []
        for group in readout.feature_groups():
            n_features = group.columns.stop - group.columns.start
            names += [f"{group.view}_{group.statistic}_{index}" for index in range(n_features)]
        return names
