"""A narrow FEI objective in float64, batches for it, and its reference in NumPy."""

from __future__ import annotations

import numpy as np
import reference
import torch
from tensors import seeded
from torch import Tensor, nn

from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.masking import n_positions, sample_mask
from fei_sklearn.objectives.fei import FEIObjective

WIDTH = 16
N_TIMEPOINTS = 37
N_CHANNELS = 3


def build_fei(kind: str = "discrete", n_targets: int = 1, stride: int = 2) -> FEIObjective:
    """Return float64; weights, statistics and momentum copies all differ from initialisation."""
    fei = FEIObjective(
        FEIEncoder(N_CHANNELS, WIDTH, stride),
        width=WIDTH,
        n_timepoints=N_TIMEPOINTS,
        mask_kind=kind,
        n_targets=n_targets,
    )
    reference.set_weights_by_rule(fei.double())
    return fei.train()


def panel(n: int, n_timepoints: int = N_TIMEPOINTS) -> Tensor:
    """Return float64 series (n, 3, n_timepoints)."""
    generator = np.random.default_rng(0)
    series = generator.normal(size=(n, N_CHANNELS, n_timepoints))
    return torch.from_numpy(series)


def draw(kind: str = "discrete", n_targets: int = 1) -> Tensor:
    """Return masks of five series of the reference length."""
    size = n_positions(N_TIMEPOINTS, kind)
    return sample_mask(5, size, (0.0, 0.7), kind, n_targets=n_targets, generator=seeded(1))


def reference_losses(
    fei: FEIObjective,
    x: Tensor,
    masks: Tensor,
    params: reference.Parameters,
    **options: object,
) -> reference.Reference:
    """Return the reference of a batch. In training mode the statistics in `params` move."""
    own_masks = list(masks.numpy().astype(np.float64))
    return reference.objective(list(x.numpy()), own_masks, params, kind=fei.mask_kind, **options)


def trained_parameters(fei: nn.Module, *prefixes: str) -> dict[str, nn.Parameter]:
    """Return trained parameters, or those of them whose names begin with one of the prefixes."""
    return {
        name: parameter
        for name, parameter in fei.named_parameters()
        if parameter.requires_grad and name.startswith(prefixes or "")
    }
