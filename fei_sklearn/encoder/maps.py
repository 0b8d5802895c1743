"""Maps over time of any encoder: of the package's own, and of a user's torch module.

A user's encoder is any torch module from (n_samples, n_channels, n_timepoints) to (n_samples,
width, n_steps). It may offer more maps by methods that are named as in :class:`BlockEncoder`. This
module alone looks for them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn

from fei_sklearn.data import on_device
from fei_sklearn.encoder.layout import select_layers

#: Fewest features of a user's own encoder, because the predictors halve their number twice.
MIN_WIDTH = 4

#: Map of a stage, zero on padding, and the steps of each series where they differ.
StageMap = tuple[Tensor, Tensor | None]


class BlockMaps(NamedTuple):
    """Maps of a residual block.

    Attributes
    ----------
    activated : Tensor of shape (n_samples, width, n_steps)
        Output of the block, zero on padding.
    summed : Tensor of shape (n_samples, width, n_steps)
        Sum that enters the last GELU of the block, any number on padding.
    n_steps : Tensor of shape (n_samples,) or None
        Steps of each series, where they differ.
    """

    activated: Tensor
    summed: Tensor
    n_steps: Tensor | None


@dataclass(frozen=True)
class FrontKernels:
    """Kernels of the dilated convolutions at the front of an encoder.

    Attributes
    ----------
    kernels : ndarray of shape (n_dilations, n_kernels, 9), float32
        Kernels of mean zero, times the scale of the batch norm that follows them.
    dilations : ndarray of shape (n_dilations,), int64
        Time points between the taps.
    """

    kernels: np.ndarray
    dilations: np.ndarray


class BlockEncoder(nn.Module, ABC):
    """Encoder of stages, each of two blocks.

    Subclasses implement `stage_widths` and `block_maps`.
    """

    @property
    @abstractmethod
    def stage_widths(self) -> list[int]:
        """Number of features of the map of each stage."""

    @abstractmethod
    def block_maps(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
    ) -> list[BlockMaps]:
        """Return the maps of all blocks of all stages, before and after their last GELU.

        Parameters
        ----------
        x, lengths
            As for `stages`.

        Returns
        -------
        list of BlockMaps
            One item per block, from the first stage to the last.
        """

    def stages(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
    ) -> list[StageMap]:
        """Return the maps of all stages.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series, at least 2 time points long.
        lengths : Tensor of shape (n_samples,), default=None
            Time points of each series, where they differ; padding follows them.

        Returns
        -------
        list of (Tensor of shape (n_samples, stage_width, n_steps), Tensor or None)
            The map of each stage, zero on padding, and the number of steps of each series (None
            without `lengths`).
        """
        of_stages = select_layers(self.block_maps(x, lengths), "all")
        return [(maps.activated, maps.n_steps) for maps in of_stages]

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
    ) -> Tensor:
        """Return the map of the last stage, of shape (n_samples, width, n_steps)."""
        last, _ = self.stages(x, lengths)[-1]
        return last


class HasStages(Protocol):
    """Encoder that returns the maps of all its stages."""

    def stages(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
    ) -> list[StageMap]:
        """Return the maps of all stages, as :meth:`BlockEncoder.stages`."""


class HasBlocks(Protocol):
    """Encoder that returns the maps of all blocks of its stages."""

    def block_maps(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
    ) -> list[BlockMaps]:
        """Return the maps of all blocks, as :meth:`BlockEncoder.block_maps`."""


class HasStepPositions(Protocol):
    """Encoder that knows at which time points the steps of its map are centred."""

    def step_positions(self, n_timepoints: int) -> Tensor:
        """Return the position of each step, of shape (n_steps,)."""


class HasFront(Protocol):
    """Encoder with dilated convolutions at its front."""

    def front_weight(self) -> Tensor:
        """Return the kernels of `front_bank` with gradients."""

    def front_bank(self) -> FrontKernels:
        """Return the kernels and dilations of the front end."""


def has_stages(encoder: nn.Module) -> TypeGuard[HasStages]:
    """Return whether an encoder returns the maps of all its stages."""
    return _has_method(encoder, "stages")


def has_blocks(encoder: nn.Module) -> TypeGuard[HasBlocks]:
    """Return whether an encoder returns the maps of all blocks of its stages."""
    return _has_method(encoder, "block_maps")


def has_step_positions(encoder: nn.Module) -> TypeGuard[HasStepPositions]:
    """Return whether an encoder knows where its steps are centred."""
    return _has_method(encoder, "step_positions")


def has_front(encoder: nn.Module) -> TypeGuard[HasFront]:
    """Return whether an encoder has dilated convolutions at its front."""
    return _has_method(encoder, "front_bank")


def _has_method(
    encoder: nn.Module,
    name: str,
) -> bool:
    method = getattr(encoder, name, None)
    # a submodule of that name, such as a ModuleList of stages, is no method
    return callable(method) and not isinstance(method, nn.Module)


def stated_widths(encoder: nn.Module) -> tuple[int, ...] | None:
    """Return the attribute `stage_widths` of an encoder, or None where it has none."""
    widths = getattr(encoder, "stage_widths", None)
    if widths is None:
        return None
    return tuple(widths)


def check_has_layers(
    encoder: nn.Module,
    layers: str,
) -> None:
    """Check that an encoder has some layers.

    Parameters
    ----------
    encoder : torch.nn.Module
        The encoder.
    layers : str
        "last", which every encoder has, "all" or "blocks".

    Raises
    ------
    ValueError
        If the encoder cannot return the maps of its stages, or of its blocks.
    """
    if layers == "all" and not has_stages(encoder):
        raise _lacks_method(encoder, layers, "stages")
    if layers == "blocks" and not has_blocks(encoder):
        raise _lacks_method(encoder, layers, "block_maps")


def _lacks_method(
    encoder: nn.Module,
    layers: str,
    method: str,
) -> ValueError:
    return ValueError(
        f"layers={layers!r} needs an encoder with a method {method}(x, lengths), "
        f"{type(encoder).__name__} has none; use layers='last'."
    )


def richest_layers(encoder: nn.Module) -> str:
    """Return the layers of an encoder that have the most maps."""
    if has_blocks(encoder):
        return "blocks"
    if has_stages(encoder):
        return "all"
    return "last"


def layer_maps(
    encoder: nn.Module,
    x: Tensor,
    lengths: Tensor | None,
    layers: str,
) -> list[BlockMaps]:
    """Return the maps of some layers of an encoder.

    Parameters
    ----------
    encoder : torch.nn.Module
        As for :func:`feature_maps`.
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    lengths : Tensor of shape (n_samples,) or None
        Time points of each series, where they differ.
    layers : {"last", "all", "blocks"}
        Layers to read.

    Returns
    -------
    list of BlockMaps
        One item per layer. An encoder without blocks has no sums before an activation; its maps
        take their place.

    Raises
    ------
    ValueError
        If the encoder lacks the layers.
    """
    check_has_layers(encoder, layers)
    if has_blocks(encoder):
        return list(select_layers(encoder.block_maps(x, lengths), layers))
    all_stages = layers != "last"
    maps = feature_maps(encoder, x, lengths, all_stages=all_stages)
    return [BlockMaps(activated, activated, n_steps) for activated, n_steps in maps]


def feature_maps(
    encoder: nn.Module,
    x: Tensor,
    lengths: Tensor | None = None,
    *,
    all_stages: bool = False,
) -> list[StageMap]:
    """Return the maps of an encoder's stages, whether it is ours or a user's own.

    An encoder with a method ``stages(x, lengths)`` receives the whole batch. Any other torch module
    receives series of one length at a time, so that no padding reaches it.

    Parameters
    ----------
    encoder : torch.nn.Module
        From (n_samples, n_channels, n_timepoints) to (n_samples, width, n_steps).
    x : Tensor of shape (n_samples, n_channels, n_timepoints)
        Series.
    lengths : Tensor of shape (n_samples,), default=None
        Time points of each series, where they differ.
    all_stages : bool, default=False
        Whether to return the maps of all stages, or of the last one alone.

    Returns
    -------
    list of (Tensor of shape (n_samples, width, n_steps), Tensor or None)
        Maps, and the number of steps of each series.

    Raises
    ------
    ValueError
        If `all_stages` is true and the encoder has no stages.
    """
    if all_stages:
        check_has_layers(encoder, "all")
    if has_stages(encoder):
        maps = encoder.stages(x, lengths)
        return maps if all_stages else maps[-1:]
    if lengths is None:
        return [(encoder(x), None)]
    return [_map_length_by_length(encoder, x, lengths)]


def _map_length_by_length(
    encoder: nn.Module,
    x: Tensor,
    lengths: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the map of series of unequal length, and the steps of each series."""
    rows_of_lengths = []
    maps = []
    for length, rows in rows_by_length(lengths):
        rows_of_lengths.append(rows)
        maps.append(encoder(x[rows, :, :length]))
    width = maps[0].shape[1]
    most_steps = max(of_length.shape[2] for of_length in maps)
    whole = maps[0].new_zeros((len(x), width, most_steps))
    n_steps = torch.empty_like(lengths)
    for rows, of_length in zip(rows_of_lengths, maps, strict=True):
        n_of_length = of_length.shape[2]
        whole[rows, :, :n_of_length] = of_length
        n_steps[rows] = n_of_length
    return whole, n_steps


def rows_by_length(lengths: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield each length and the rows of its series; the host waits for the device once.

    Parameters
    ----------
    lengths : Tensor of shape (n_samples,)
        Time points of each series.

    Yields
    ------
    tuple of int and Tensor of int64
        A length and its rows, on the device of `lengths`.
    """
    on_host = lengths.cpu().numpy()
    for length in np.unique(on_host):
        rows = np.flatnonzero(on_host == length)
        yield int(length), on_device(rows, lengths.device)


@torch.no_grad()
def map_widths(
    encoder: nn.Module,
    n_channels: int,
    n_timepoints: int,
) -> tuple[int, ...]:
    """Return the number of features of the map of each stage, the last stage last.

    Without stages there is the one map.

    Parameters
    ----------
    encoder : torch.nn.Module
        As for :func:`feature_maps`, on the CPU.
    n_channels, n_timepoints : int
        Shape of the series that a user's own encoder is tried with.

    Raises
    ------
    ValueError
        If a user's own encoder does not return maps of shape (n_samples, width, n_steps).
    """
    stated = stated_widths(encoder)
    if stated is not None:
        return stated
    x = torch.zeros((2, n_channels, n_timepoints))
    was_training = encoder.training
    encoder.eval()
    last = encoder(x)
    earlier = []
    if has_stages(encoder):
        earlier = encoder.stages(x, None)[:-1]
    encoder.train(was_training)
    _check_is_map(encoder, x, last)
    widths = [int(maps.shape[1]) for maps, _ in earlier]
    return (*widths, int(last.shape[1]))


def _check_is_map(
    encoder: nn.Module,
    x: Tensor,
    out: object,
) -> None:
    """Raise a ValueError if `out` is no map of the two series `x`."""
    if not isinstance(out, Tensor):
        raise _no_map(x, type(out).__name__)
    if out.ndim != 3 or len(out) != len(x):
        raise _no_map(x, tuple(out.shape))
    width = out.shape[1]
    if width < MIN_WIDTH:
        raise ValueError(
            f"An encoder must have a width of at least {MIN_WIDTH}, {type(encoder).__name__} has "
            f"{width}."
        )


def _no_map(x: Tensor, got: object) -> ValueError:
    return ValueError(
        "An encoder must map (n_samples, n_channels, n_timepoints) to (n_samples, width, "
        f"n_steps); for {tuple(x.shape)} it gave {got}."
    )
