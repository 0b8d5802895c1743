"""What the peers have in common: one encoder in, losses out, and nothing that has momentum."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from fei_sklearn.encoder.layers import initialise
from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.objectives.base import PretrainingObjective

Module = TypeVar("Module", bound=nn.Module)


class Rival(PretrainingObjective):
    """An objective whose `encoder` is all that its readout needs.

    Subclasses take ``(encoder, *, width, n_channels, n_timepoints, generator)``; their forward
    takes ``(x, lengths, *, generator)`` and gives a NamedTuple of losses. They draw their views in
    training and in validation alike, from `generator` alone.
    """

    options = ("n_channels",)


class StepwiseRival(Rival):
    """A peer that contrasts the steps of the package's own encoder.

    Parameters
    ----------
    encoder : FEIEncoder
        The encoder.
    width, n_channels, n_timepoints : int
        Features that it gives, channels and time points that it takes.
    similarity : {"dot", "cosine"}, default="dot"
        Similarity of features. "dot" is the articles'; gradients are then clipped at norm 1, as the
        encoder's features are nearly non-negative and their products large.
    generator : torch.Generator, default=None
        Source of initial weights, for the peers that have heads.
    """

    encoder: FEIEncoder
    #: Name of the objective.
    name: str

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
        self.n_timepoints, self.similarity = n_timepoints, similarity
        self.max_gradient_norm = 1.0 if similarity == "dot" else None


def at_least_float32(x: Tensor) -> Tensor:
    """A tensor in float32 if it came in half precision, as mixed precision hands batches over."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def own_encoder(encoder: nn.Module, method: str) -> FEIEncoder:
    """The encoder, if it is the package's own; ValueError otherwise."""
    if not isinstance(encoder, FEIEncoder):
        raise ValueError(
            f"objective={method!r} needs the stages of the package's own encoder, got "
            f"{type(encoder).__name__}: give `encoder` as a size or a width."
        )
    return encoder


def check_one_length(lengths: Tensor | None, method: str) -> None:
    """Raise a ValueError if the series of a batch differ in length."""
    if lengths is not None:
        raise ValueError(
            f"objective={method!r} needs series of one length, got lengths from "
            f"{int(lengths.min())} to {int(lengths.max())}: cut or pad them, or use another "
            "objective."
        )


def drawn(build: Callable[[], Module], generator: torch.Generator | None) -> Module:
    """A module with torch's default initial weights from `generator`, on the CPU."""
    with torch.device("meta"):  # torch's own constructors would draw from the global generator
        module = build()
    module.to_empty(device="cpu")
    initialise(module, generator)
    return module
