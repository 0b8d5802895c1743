"""Files of embeddings: each format holds the same, and a file that cannot be written is refused."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from fei_sklearn.cli.embedding_files import WRITERS, Embedded, check_out, write_embeddings


@pytest.fixture
def embedded():
    columns = {"part": np.array(["train", "test"]), "y": np.array([2, 1])}
    embeddings = np.array([[0.5, -1.25], [3.0, 1e-7]], dtype=np.float32)
    return Embedded(columns, embeddings, ["a", "b"])


def test_an_archive(embedded, tmp_path):
    write_embeddings(tmp_path / "e.npz", embedded)
    with np.load(tmp_path / "e.npz", allow_pickle=False) as file:
        assert sorted(file) == ["embeddings", "part", "y"]
        np.testing.assert_array_equal(file["embeddings"], embedded.embeddings, strict=True)
        np.testing.assert_array_equal(file["part"], ["train", "test"])


def test_a_table_as_text(embedded, tmp_path):
    write_embeddings(tmp_path / "e.csv", embedded)
    with open(tmp_path / "e.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["part", "y", "a", "b"]
    assert [row[:2] for row in rows] == [["train", "2"], ["test", "1"]]
    numbers = np.array([row[2:] for row in rows], dtype=np.float32)
    np.testing.assert_array_equal(numbers, embedded.embeddings)


def test_a_parquet_table(embedded, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    write_embeddings(tmp_path / "e.parquet", embedded)
    frame = pandas.read_parquet(tmp_path / "e.parquet")
    assert list(frame) == ["part", "y", "a", "b"]
    np.testing.assert_array_equal(frame[["a", "b"]].to_numpy(), embedded.embeddings, strict=True)


def test_other_endings_and_folders_are_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"--out must end in \.npz, \.csv, \.parquet, got 'e\.txt'"
    ):
        check_out(tmp_path.with_name("e.txt").relative_to(tmp_path.parent))
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*none"):
        check_out(tmp_path / "none" / "e.npz")
    for ending in WRITERS:
        check_out(tmp_path / f"e{ending}")
