"""Arrays of a front readout among a model's weights: thresholds and principal axes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg import eigh
from torch import Tensor, nn

from fei_sklearn._bridge.spec import FittedModel
from fei_sklearn._bridge.weight_names import (
    AXES_COMPONENTS,
    AXES_MEAN,
    AXES_SCALE,
    Weights,
    threshold_name,
)
from fei_sklearn._warnings import warn
from fei_sklearn.data import Panel
from fei_sklearn.encoder.maps import FrontKernels, has_front
from fei_sklearn.inference import embed
from fei_sklearn.readout.front import FrontReadout, PrincipalAxes, fit_thresholds
from fei_sklearn.readout.front_torch import FrontModule
from fei_sklearn.readout.spec import FRONT_VIEWS, FrontSpec

#: Series whose maps give the thresholds of the front as quantiles.
THRESHOLD_SAMPLE = 1024

#: Series whose features give the principal axes.
AXES_SAMPLE = 3000

#: Standard deviation up to which a feature counts as constant.
CONSTANT_FEATURE = 1e-6

#: Share of the first axis's variance below which an axis is rounding alone.
SMALLEST_VARIANCE = 1e-9

#: Components of a model without principal axes.
NO_AXES = np.empty((0, 0), dtype=np.float32)

#: Deviations at which standardised features are cut before their projection.
LARGEST_DEVIATION = 8.0

AXES_NAMES = (AXES_MEAN, AXES_SCALE, AXES_COMPONENTS)


class FrontArrays(NamedTuple):
    """Arrays of a front readout, by their names among a model's weights.

    Attributes
    ----------
    weights : dict of str to ndarray
        Thresholds and principal axes.
    n_fitted_axes : int or None
        Principal axes that the panel has, of those that were wanted; None if none were fitted.
    """

    weights: Weights
    n_fitted_axes: int | None


def front_kernels(encoder: nn.Module) -> FrontKernels | None:
    """Return the kernels of an encoder's front end, None if it has none."""
    if has_front(encoder):
        return encoder.front_bank()
    return None


def require_front_kernels(encoder: nn.Module) -> FrontKernels:
    """Return the kernels of an encoder that has a front end."""
    kernels = front_kernels(encoder)
    if kernels is None:
        raise ValueError(f"{type(encoder).__name__} has no front end.")
    return kernels


def front_arrays(
    kernels: FrontKernels,
    panel: Panel,
    *,
    start: FittedModel | None,
    recalibrates: bool,
    n_components: int | None,
) -> FrontArrays:
    """Return the thresholds and principal axes that a model stores.

    Parameters
    ----------
    kernels : FrontKernels
        Kernels of the front.
    panel : Panel
        Univariate training series.
    start : FittedModel or None
        Model that the pretraining started from.
    recalibrates : bool
        Whether thresholds and axes are computed on the panel; otherwise they are `start`'s.
    n_components : int or None
        Number of principal axes to fit; None fits no axes.

    Returns
    -------
    FrontArrays
        Arrays by their names among a model's weights.
    """
    arrays = _arrays_of(start)
    if recalibrates:
        sample = _sample(panel, THRESHOLD_SAMPLE)
        thresholds = fit_thresholds(kernels, sample, FRONT_VIEWS)
        # axes of the start belong to other thresholds
        arrays = {threshold_name(view): of_view for view, of_view in thresholds.items()}
    if n_components is None or AXES_COMPONENTS in arrays:
        return FrontArrays(arrays, None)
    axes = _fit_axes(kernels, panel, arrays, n_components)
    n_fitted_axes = int(axes[AXES_COMPONENTS].any(axis=1).sum())
    return FrontArrays(arrays | axes, n_fitted_axes)


def warn_of_missing_axes(n_components: int | None, n_fitted_axes: int | None) -> None:
    """Warn if a panel has fewer principal axes than wanted.

    Parameters
    ----------
    n_components : int or None
        Number of axes that were wanted.
    n_fitted_axes : int or None
        Number of axes that the panel has; None if none were fitted.
    """
    if n_components is None or n_fitted_axes is None or n_fitted_axes >= n_components:
        return
    warn(
        f"n_components={n_components}, but the panel's series have {n_fitted_axes} principal axes: "
        "the other numbers are 0. Use fewer components, or the axes of pretrained='default' with "
        "calibration='fixed'."
    )


def check_front_arrays(kernels: FrontKernels, weights: Weights) -> None:
    """Raise a ValueError if a model lacks arrays of its front, or has ones of other shapes."""
    n_dilations, n_of_dilation, _ = kernels.kernels.shape
    n_kernels = n_dilations * n_of_dilation
    for view in FRONT_VIEWS:
        name = threshold_name(view)
        shape = weights[name].shape
        if shape[1:] != (n_kernels,):
            raise ValueError(f"{name} has shape {shape} for {n_kernels} kernels")
    if AXES_COMPONENTS not in weights:
        return
    n_features = FrontSpec().n_features
    for name in AXES_NAMES:
        array = weights[name]
        shape = array.shape
        if shape[-1] != n_features:
            raise ValueError(f"{name} has shape {shape} for {n_features} features")


def _arrays_of(model: FittedModel | None) -> Weights:
    """Return the thresholds and axes that a model has."""
    if model is None:
        return {}
    names = [threshold_name(view) for view in FRONT_VIEWS]
    names += AXES_NAMES
    return {name: model.weights[name] for name in names if name in model.weights}


def _sample(panel: Panel, most: int) -> Panel:
    """Return at most some number of series from all over a panel."""
    n_rows = min(most, len(panel))
    rows = np.linspace(0, len(panel) - 1, n_rows)
    return panel.take(rows.astype(np.int64))


def _fit_axes(
    kernels: FrontKernels, panel: Panel, thresholds: Weights, n_components: int
) -> Weights:
    """Return mean, scale and principal axes of the default readout's features of a panel.

    A panel has at most one axis less than it has different series. The rest are zero: axes of
    another panel would have no variance here, and a StandardScaler would blow them up.
    """
    spec = FrontSpec()
    by_view = {view: thresholds[threshold_name(view)] for view in spec.views}
    readout = FrontReadout(kernels, spec, by_view, axes=None)
    sample = _sample(panel, AXES_SAMPLE)
    features = embed(readout, sample, device=torch.device("cpu")).astype(np.float64)
    mean = features.mean(axis=0)
    scale = features.std(axis=0)
    is_constant = scale < CONSTANT_FEATURE
    scale[is_constant] = 1.0
    standardised = (features - mean) / scale
    cut = np.clip(standardised, -LARGEST_DEVIATION, LARGEST_DEVIATION)
    cut[:, is_constant] = 0.0  # so that constant features have no part in any axis
    own = _principal_axes(cut, n_components)
    components = np.zeros((n_components, features.shape[1]))
    components[: len(own)] = own
    arrays = {AXES_MEAN: mean, AXES_SCALE: scale, AXES_COMPONENTS: components}
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def _principal_axes(features: np.ndarray, most: int) -> np.ndarray:
    """Return the directions of the largest variance of standardised features, one per row.

    Series that repeat have fewer directions than their number.
    """
    n_samples, n_features = features.shape
    if n_samples >= n_features:
        directions = _leading_vectors(features.T @ features, most)
    else:
        # the Gram matrix of the series is smaller, and has the same eigenvalues
        vectors = _leading_vectors(features @ features.T, most)
        directions = features.T @ vectors
    axes = directions / np.linalg.norm(directions, axis=0)
    largest = np.abs(axes).argmax(axis=0)
    signs = np.sign(axes[largest, np.arange(axes.shape[1])])
    # the largest loading of an axis is positive, whatever the eigensolver
    components: np.ndarray = (axes * signs).T
    return components


def _leading_vectors(matrix: np.ndarray, most: int) -> np.ndarray:
    """Return the eigenvectors of the largest eigenvalues as columns, the largest first."""
    size = len(matrix)
    first = max(size - most, 0)
    values, vectors = eigh(matrix, subset_by_index=(first, size - 1))
    has_variance = values > SMALLEST_VARIANCE * values[-1]
    leading: np.ndarray = vectors[:, has_variance][:, ::-1]
    return leading


def front_readout(
    model: FittedModel, spec: FrontSpec, kernels: FrontKernels, n_components: int | None
) -> FrontReadout:
    """Return the readout of a model's front.

    Parameters
    ----------
    model : FittedModel
        The model.
    spec : FrontSpec
        Views and groups of kernels.
    kernels : FrontKernels
        Kernels of the model's encoder.
    n_components : int or None
        Number of principal axes to project the features on; None projects nothing.

    Raises
    ------
    ValueError
        If the model has fewer principal axes.
    """
    thresholds = {view: model.weights[threshold_name(view)] for view in spec.views}
    axes = None
    if n_components is not None:
        axes = _leading_axes(model, n_components)
    return FrontReadout(kernels, spec, thresholds, axes)


def _leading_axes(model: FittedModel, n_components: int) -> PrincipalAxes:
    """Return the first principal axes of a model."""
    weights = model.weights
    components = weights.get(AXES_COMPONENTS, NO_AXES)
    n_fitted = len(components)
    if n_components > n_fitted:
        raise ValueError(
            f"n_components={n_components}, but the model has {n_fitted} principal axes: fit with "
            "this n_components, or start from pretrained='default'."
        )
    return PrincipalAxes(
        mean=weights[AXES_MEAN],
        scale=weights[AXES_SCALE],
        components=components[:n_components],
    )


def trainable_front(
    model: FittedModel, spec: FrontSpec, encoder: nn.Module, n_components: int | None
) -> nn.Module:
    """Return a module with the features of :func:`front_readout`, and with gradients.

    Parameters
    ----------
    model : FittedModel
        The model.
    spec : FrontSpec
        Views and groups of kernels.
    encoder : torch.nn.Module
        Encoder with the model's weights, which are trained.
    n_components : int or None
        Number of principal axes to project the features on; None projects nothing.
    """
    thresholds = {}
    for view in spec.views:
        of_view = model.weights[threshold_name(view)]
        thresholds[view] = _tensor(of_view)
    module = FrontModule(
        encoder,
        spec,
        thresholds,
        separate_channels=model.separate_channels,
    )
    if n_components is None:
        return module
    return _Projected(module, _leading_axes(model, n_components))


def _tensor(array: np.ndarray) -> Tensor:
    """Return a tensor of its own memory."""
    return torch.from_numpy(np.array(array))


class _Projected(nn.Module):
    """Features of a module, channel by channel, on fixed principal axes."""

    mean: Tensor
    scale: Tensor
    components: Tensor

    def __init__(self, module: nn.Module, axes: PrincipalAxes) -> None:
        super().__init__()
        self.module = module
        self.register_buffer("mean", _tensor(axes.mean))
        self.register_buffer("scale", _tensor(axes.scale))
        self.register_buffer("components", _tensor(axes.components))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return projections of shape (n_samples, n_channels * n_components)."""
        features = self.module(x, lengths)
        by_channel = features.reshape(-1, len(self.mean))
        standardised = (by_channel - self.mean) / self.scale
        cut = standardised.clamp(-LARGEST_DEVIATION, LARGEST_DEVIATION)
        projections: Tensor = cut @ self.components.T
        return projections.reshape(len(x), -1)
