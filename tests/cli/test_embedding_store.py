"""Stores of embeddings that record which of their blocks are complete."""

from __future__ import annotations

import numpy as np
import pytest

from fei_sklearn.cli.embedding_store import missing_blocks, open_store, write_block

zarr = pytest.importorskip("zarr")

EMBEDDINGS = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)


@pytest.fixture
def path(tmp_path):
    """Path of a store of three blocks."""
    path = tmp_path / "e.zarr"
    open_store(path, 10, 4, EMBEDDINGS[0])
    return path


def test_written_blocks_are_complete(path):
    write_block(EMBEDDINGS[8:], path, 2)
    write_block(EMBEDDINGS[:4], path, 0)
    store = open_store(path, 10, 4, EMBEDDINGS[0])
    assert missing_blocks(store).tolist() == [1]
    write_block(EMBEDDINGS[4:8], path, 1)
    assert missing_blocks(store).tolist() == []
    np.testing.assert_array_equal(store["embeddings"][:], EMBEDDINGS)
    assert store["embeddings"].dtype == np.float32


def test_a_block_that_cannot_be_written_is_not_complete(path):
    with pytest.raises(ValueError):
        write_block(EMBEDDINGS[:4, :2], path, 0)
    store = open_store(path, 10, 4, EMBEDDINGS[0])
    assert missing_blocks(store).tolist() == [0, 1, 2]


def test_the_rounding_of_another_processor_is_the_same_store(path):
    open_store(path, 10, 4, EMBEDDINGS[0] * np.float32(1 + 1e-5))


@pytest.mark.parametrize(
    ("n_samples", "n_rows", "first"),
    [
        (9, 4, EMBEDDINGS[0]),
        (10, 5, EMBEDDINGS[0]),
        (10, 4, EMBEDDINGS[0, :2]),
        (10, 4, EMBEDDINGS[1]),
    ],
)
def test_the_store_of_another_run_is_refused(path, n_samples, n_rows, first):
    with pytest.raises(ValueError, match=r"e\.zarr' holds embeddings of another model"):
        open_store(path, n_samples, n_rows, first)


@pytest.mark.parametrize("content", ["nothing", "a file", "an array", "an unfinished store"])
def test_something_else_is_refused(path, tmp_path, content):
    other = tmp_path / "other"
    if content == "nothing":
        other.mkdir()
    elif content == "a file":
        other.write_text("text")
    elif content == "an array":
        zarr.create_array(other, data=EMBEDDINGS)
    else:
        other = path
        del zarr.open_group(path, mode="r+")["embeddings"]
    with pytest.raises(ValueError, match="exists and is no store of embeddings: remove it"):
        open_store(other, 10, 4, EMBEDDINGS[0])
