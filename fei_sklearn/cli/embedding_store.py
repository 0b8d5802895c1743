"""A zarr store of embeddings that records which of its blocks are complete.

The store is a group of three arrays. "embeddings" has shape (n_samples, n_features) and type
float32. "complete" has one flag per block of rows. "first" is the first embedding as the process
that made the store computed it, which tells the store of another model or of other series.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

EMBEDDINGS = "embeddings"
COMPLETE = "complete"
FIRST = "first"


def open_store(path: str | Path, n_samples: int, n_rows: int, first: np.ndarray) -> Any:
    """Make a store, or open the store of an earlier run.

    Parameters
    ----------
    path : path-like
        Folder of the store.
    n_samples : int
        Number of series.
    n_rows : int
        Rows per block.
    first : ndarray of shape (n_features,)
        First embedding.

    Returns
    -------
    zarr.Group
        The store.

    Raises
    ------
    ValueError
        If there is something else at `path`: no store, or one of other embeddings or other blocks.
    """
    import zarr

    shape = (n_samples, len(first))
    chunks = (n_rows, len(first))
    if not Path(path).exists():
        return _make_store(path, shape, chunks, first)
    try:
        store: Any = zarr.open_group(path, mode="r+")
        embeddings = store[EMBEDDINGS]
        earlier = store[FIRST][:]
    except (OSError, LookupError, ValueError) as error:
        raise ValueError(
            f"{str(path)!r} exists and is no store of embeddings: remove it, or give another path."
        ) from error
    if embeddings.shape != shape or embeddings.chunks != chunks or not _agree(earlier, first):
        raise ValueError(
            f"{str(path)!r} holds embeddings of another model, of other series, or in other "
            "blocks: remove it, or give another path."
        )
    return store


def _make_store(
    path: str | Path,
    shape: tuple[int, int],
    chunks: tuple[int, int],
    first: np.ndarray,
) -> Any:
    import zarr
    from zarr.codecs import BloscCodec

    n_samples = shape[0]
    n_rows = chunks[0]
    n_blocks = math.ceil(n_samples / n_rows)
    store: Any = zarr.open_group(path, mode="w-")
    store.create_array(COMPLETE, shape=(n_blocks,), chunks=(1,), dtype=bool)
    store.create_array(FIRST, data=first)
    # last, because a store without embeddings is refused as unfinished
    store.create_array(
        EMBEDDINGS,
        shape=shape,
        chunks=chunks,
        dtype=np.float32,
        # zarr's default, zstd, takes as long as the embedding, for 7 % fewer bytes: benchmarks/cost
        compressors=BloscCodec(cname="lz4", shuffle="bitshuffle"),
    )
    return store


def _agree(earlier: np.ndarray, first: np.ndarray) -> bool:
    """Return whether two embeddings differ by no more than the rounding of two processors."""
    return np.allclose(earlier, first, rtol=1e-3, atol=1e-4, equal_nan=True)


def missing_blocks(store: Any) -> np.ndarray:
    """Return the numbers of the blocks that are not complete."""
    is_complete: np.ndarray = store[COMPLETE][:]
    return np.flatnonzero(~is_complete)


def write_block(block: np.ndarray, path: str | Path, number: int) -> None:
    """Write a block of embeddings, and after it the flag that the block is complete.

    Parameters
    ----------
    block : ndarray of shape (n_rows, n_features)
        Embeddings.
    path : path-like
        Folder of the store.
    number : int
        Number of the block.
    """
    import zarr

    store: Any = zarr.open_group(path, mode="r+")
    embeddings = store[EMBEDDINGS]
    start = number * embeddings.chunks[0]
    embeddings[start : start + len(block)] = block
    store[COMPLETE][number] = True
