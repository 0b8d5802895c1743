"""Batch norm folded into the convolutions before it, for inference.

With its running statistics, batch norm is a scale and a shift of each feature. The convolution can
do both on its way, which saves a pass over every map::

    norm(conv(x)) = (scale * weight) * x + (bias - scale * mean),    scale = gamma / sqrt(var + eps)
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from fei_sklearn.encoder import MaskedBatchNorm1d, ResidualBlock, Shortcut, Stem

Module = TypeVar("Module", bound=nn.Module)

#: Convolutions, and the batch norms that follow them, by the name of either in its module.
PAIRS: dict[type[nn.Module], tuple[tuple[str, str], ...]] = {
    Stem: (("conv", "norm"),),
    Shortcut: (("conv", "norm"),),
    ResidualBlock: (("conv1", "norm1"), ("conv2", "norm2")),
}


class Folded(nn.Module):
    """Stands where a batch norm was: gives what it gets."""

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:  # noqa: D102
        return x


def fold_batch_norm(encoder: Module) -> Module:
    """Copy of an encoder whose convolutions do what its batch norms did.

    Parameters
    ----------
    encoder : torch.nn.Module
        In evaluation mode. The stems, blocks and shortcuts of every :class:`FEIEncoder` in it are
        folded; any other layer, such as those of a user's own encoder, is copied as it is.

    Returns
    -------
    torch.nn.Module
        Of the same class, methods and maps, to float32's rounding. It is for inference: it has no
        statistics to train.

    Raises
    ------
    ValueError
        If the encoder is in training mode, in which batch norm does not use its running statistics.

    Notes
    -----
    A shift is not zero on padding, and neither was batch norm's: the blocks put padding back to
    zero after each norm, folded or not.
    """
    if encoder.training:
        raise ValueError(
            f"{type(encoder).__name__} is in training mode, in which batch norm cannot be folded: "
            "call its eval() first."
        )
    folded = copy.deepcopy(encoder)
    for module in folded.modules():
        for conv, norm in PAIRS.get(type(module), ()):
            _fold(getattr(module, conv), getattr(module, norm))
            setattr(module, norm, Folded())
    return folded.eval()


@torch.no_grad()
def _fold(conv: nn.Conv1d, norm: MaskedBatchNorm1d) -> None:
    """Give a convolution the scale and the shift of the batch norm after it."""
    assert norm.running_mean is not None and norm.running_var is not None and conv.bias is None
    scale = norm.weight.double() * torch.rsqrt(norm.running_var.double() + norm.eps)
    shift = norm.bias.double() - norm.running_mean.double() * scale
    weight = conv.weight
    conv.weight = nn.Parameter((weight.double() * scale[:, None, None]).to(weight.dtype), False)
    conv.bias = nn.Parameter(shift.to(weight.dtype), False)
