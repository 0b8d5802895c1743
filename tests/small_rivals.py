"""Rivals in float64 on a narrow encoder of stride 1."""

from __future__ import annotations

from tensors import seeded

from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.objectives import objective_class
from fei_sklearn.objectives.rivals.rival import Rival


def build_rival(
    name: str,
    *,
    width: int = 16,
    n_channels: int = 2,
    n_timepoints: int = 64,
    **options: object,
) -> Rival:
    """Return a rival with initial weights of seed 0."""
    generator = seeded(0)

    def backbone(n: int, stride: int = 1) -> FEIEncoder:
        return FEIEncoder(n, width, stride, generator=generator)

    rival = objective_class(name)
    encoder = rival.build_encoder(backbone, n_channels, n_timepoints, generator)
    objective = rival(
        encoder,
        width=width * rival.n_backbones,
        n_channels=n_channels,
        n_timepoints=n_timepoints,
        generator=generator,
        **options,
    )
    return objective.double()
