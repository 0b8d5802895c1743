"""Base classes of the rivals, and checks of their encoders and batches."""

from __future__ import annotations

from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.objectives.base import PretrainingObjective

Encoder = TypeVar("Encoder", bound=nn.Module)


class Rival(PretrainingObjective):
    """Objective without momentum copies, whose fitted encoder is all that a readout needs.

    Subclasses accept ``(encoder, *, width, n_channels, n_timepoints, generator)``. Their forward
    pass accepts ``(x, lengths, *, generator)`` and draws its views from `generator` alone, in
    training and in evaluation.
    """

    options = ("n_channels",)
    #: Name of the objective.
    name: ClassVar[str]


class StepwiseRival(Rival):
    """Rival that contrasts the steps of the package's own encoder.

    Parameters
    ----------
    encoder : FEIEncoder
        The encoder.
    width, n_channels, n_timepoints : int
        Features of the encoder, channels and time points of the series.
    similarity : {"dot", "cosine"}, default="dot"
        Similarity of features. "dot" is published. Gradients are then clipped at norm 1, because
        the encoder's features are nearly non-negative and their products large.
    generator : torch.Generator, default=None
        Source of the initial weights of the rivals that have heads.
    """

    encoder: FEIEncoder

    def __init__(
        self,
        encoder: nn.Module,
        *,
        width: int,
        n_channels: int,
        n_timepoints: int,
        similarity: str = "dot",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.encoder = own_encoder(encoder, self.name)
        self.n_timepoints = n_timepoints
        self.similarity = similarity
        self.max_gradient_norm = 1.0 if similarity == "dot" else None


def at_least_float32(x: Tensor) -> Tensor:
    """Return half precision, in which mixed precision hands over batches, as float32."""
    if x.dtype in (torch.float16, torch.bfloat16):
        return x.float()
    return x


def own_encoder(encoder: nn.Module, method: str) -> FEIEncoder:
    """Return the encoder, or raise a ValueError if it is not the paper's."""
    if not isinstance(encoder, FEIEncoder):
        raise ValueError(
            f"objective={method!r} needs the stages of the paper's encoder, got "
            f"{type(encoder).__name__}: give `encoder` a size or a width, such as encoder='small'."
        )
    return encoder


def built_encoder(
    encoder: nn.Module,
    kind: type[Encoder],
    method: str,
) -> Encoder:
    """Return the encoder, or raise a TypeError if the method's `build_encoder` did not build it."""
    if not isinstance(encoder, kind):
        raise TypeError(
            f"objective={method!r} needs an encoder of the class {kind.__name__}, got "
            f"{type(encoder).__name__}: build it with the objective's `build_encoder`."
        )
    return encoder


def check_one_length(lengths: Tensor | None, method: str) -> None:
    """Raise a ValueError if the series of a batch differ in length."""
    if lengths is None:
        return
    shortest = int(lengths.min())
    longest = int(lengths.max())
    raise ValueError(
        f"objective={method!r} needs series of one length, got lengths from {shortest} to "
        f"{longest}: cut or pad them, or use another objective."
    )
