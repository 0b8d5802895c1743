"""Layers of an encoder by name, without torch: blocks, stages, and the widths of their maps.

An encoder has stages, and a stage has :data:`BLOCKS_PER_STAGE` residual blocks. The map of a stage
is the map of its last block.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

#: Layers that can be read: the last stage, all stages, or all blocks of all stages.
LAYERS = ("last", "all", "blocks")

BLOCKS_PER_STAGE = 2

#: Architecture of the paper's encoder.
RESIDUAL = "residual"

#: Architecture of the encoder with a dilated front end, and its name as a parameter.
DILATED = "dilated"

#: Dilations of the front end of the dilated encoder: 1, 2, 4 and so on.
N_DILATIONS = 6

#: Groups of kernels of each dilation, and kernels of a group.
N_GROUPS = 2
KERNELS_PER_GROUP = 8

T = TypeVar("T")


def select_layers(
    of_blocks: Sequence[T],
    layers: str,
) -> Sequence[T]:
    """Return the items of some layers, given one item per block.

    Parameters
    ----------
    of_blocks : sequence
        One item per block, such as its map, from the first block to the last.
    layers : {"last", "all", "blocks"}
        Layers to select, see :data:`LAYERS`.
    """
    if layers == "blocks":
        return of_blocks
    of_stages = of_blocks[BLOCKS_PER_STAGE - 1 :: BLOCKS_PER_STAGE]
    if layers == "all":
        return of_stages
    return of_stages[-1:]


def layer_widths(
    stage_widths: Sequence[int],
    layers: str,
) -> tuple[int, ...]:
    """Return the number of features of the map of each of the layers."""
    block_widths = [width for width in stage_widths for _ in range(BLOCKS_PER_STAGE)]
    return tuple(select_layers(block_widths, layers))


def stages_after(
    layers: str,
    n_maps: int,
) -> tuple[int, ...]:
    """Return, for each of the `n_maps` maps of some layers, how many stages follow its stage."""
    if layers == "last":
        return (0,) * n_maps
    maps_per_stage = BLOCKS_PER_STAGE if layers == "blocks" else 1
    return tuple(n_following // maps_per_stage for n_following in reversed(range(n_maps)))
