"""Encoders as torch modules, built as a spec or a fitted model describes them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from fei_sklearn._bridge.devices import private_random_state
from fei_sklearn._bridge.spec import EncoderSpec, FittedModel
from fei_sklearn.encoder.dilated import DilatedEncoder
from fei_sklearn.encoder.layout import DILATED
from fei_sklearn.encoder.resnet import ENCODER_WIDTHS, FEIEncoder
from fei_sklearn.objectives import objective_class


def build_encoder(
    objective: str,
    spec: EncoderSpec,
    n_channels: int,
    n_timepoints: int,
    generator: torch.Generator,
) -> nn.Module:
    """Return the encoder that an objective trains and `transform` reads, with initial weights.

    Parameters
    ----------
    objective : str
        Name of the objective, which may join several backbones in its encoder.
    spec : EncoderSpec
        Architecture of a backbone.
    n_channels, n_timepoints : int
        Channels and length of the series.
    generator : torch.Generator
        Source of the initial weights, on the CPU.

    Raises
    ------
    TypeError
        If a user's builder does not return a torch module.
    """

    def build_backbone(n_channels: int, stride: int = spec.stride) -> nn.Module:
        if spec.architecture == DILATED:
            return DilatedEncoder(n_channels, stride, generator=generator)
        if not callable(spec.size):
            width = ENCODER_WIDTHS[spec.size] if isinstance(spec.size, str) else spec.size
            return FEIEncoder(n_channels, width, stride, generator=generator)
        module = spec.size(n_channels)
        if not isinstance(module, nn.Module):
            raise TypeError(
                "A callable encoder must return a torch module for a number of channels, "
                f"{spec.size!r} returned {type(module).__name__}."
            )
        return module

    kind = objective_class(objective)
    return kind.build_encoder(build_backbone, n_channels, n_timepoints, generator)


def fitted_encoder_spec(model: FittedModel) -> EncoderSpec:
    """Return the architecture of a fitted model's encoder."""
    if model.build_encoder is not None:
        return EncoderSpec(model.build_encoder, model.stride)
    if model.architecture == DILATED:
        return EncoderSpec(DILATED, model.stride)
    n_backbones = objective_class(model.objective).n_backbones
    width = model.stage_widths[-1] // n_backbones
    return EncoderSpec(width, model.stride)


def users_random_state(
    spec: EncoderSpec, seed: int, device: torch.device
) -> AbstractContextManager[None]:
    """Return a guard of torch's global random state, which only a user's own module draws from."""
    if callable(spec.size):
        return private_random_state(seed, device)
    return nullcontext()
