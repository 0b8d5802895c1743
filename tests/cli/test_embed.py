"""`fei-sklearn embed`."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from quick import quick, walks
from tiny_sets import arrays, write

from fei_sklearn.evaluation.standardise import TimeIndexStandardiser


def read_npz(path):
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def read_labels(path):
    """Return the column y of a file as text."""
    if path.endswith(".npz"):
        return read_npz(path)["y"].astype(str)
    if path.endswith(".csv"):
        with open(path, newline="") as file:
            return [row["y"] for row in csv.DictReader(file)]
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    return pandas.read_parquet(path)["y"].astype(str).to_numpy()


def test_the_file_has_embeddings_parts_and_labels(model, command):
    done = command("embed model one --data data --out e.npz")
    assert done.code == 0
    content = arrays()
    X = np.concatenate([content["X_train"], content["X_test"]])
    y = np.concatenate([content["y_train"], content["y_test"]])
    stored = read_npz("e.npz")
    assert sorted(stored) == ["embeddings", "part", "y"]
    assert_array_equal(stored["embeddings"], model.transform(X))
    assert_array_equal(stored["part"], np.repeat(["train", "test"], [40, 20]))
    assert_array_equal(stored["y"], y)


@pytest.mark.parametrize("labels", [[2, 1], ["walk", "run"]])
@pytest.mark.parametrize("ending", [".npz", ".csv", ".parquet"])
def test_labels_are_those_of_the_set(model, data, command, labels, ending):
    content = arrays()
    for part in ("train", "test"):
        codes = content[f"y_{part}"]
        content[f"y_{part}"] = np.array(labels)[codes]
    write(data, "named", content)
    assert command(f"embed model named --data data --out e{ending}").code == 0
    expected = np.concatenate([content["y_train"], content["y_test"]])
    assert_array_equal(read_labels(f"e{ending}"), expected.astype(str))


def test_another_readout_of_one_part(model, command):
    options = "--part test --pooling mean,max --out e.csv"
    done = command(f"embed model data/one.npz {options}")
    assert done == (0, "e.csv: 20 embeddings of 32 features\n", "")
    with open("e.csv", newline="") as file:
        header, *lines = csv.reader(file)
    assert header[:3] == ["part", "y", "feiembedder0"]
    means = np.array([line[2:18] for line in lines], dtype=np.float32)
    expected = model.transform(arrays()["X_test"])
    assert_array_equal(means, expected[:, :16])


def test_layers_and_views(model, data, command):
    options = "--layers all --views level,shape --pooling mean --part test"
    done = command(f"embed model one --data data --out e.npz {options}")
    assert (done.code, done.err) == (0, "")
    _, n_features = read_npz("e.npz")["embeddings"].shape
    assert n_features > 2 * 16


def test_parquet(model, data, command):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    done = command("embed model one --data data --out e.parquet")
    assert done.code == 0
    frame = pandas.read_parquet("e.parquet")
    assert frame.shape == (60, 2 + 16 + 5 * 16)


def test_input_per_time_index_is_standardised_by_the_training_part(data, command):
    X_train = arrays()["X_train"]
    X_test = arrays()["X_test"]
    without_scaling = quick(max_epochs=0, scaling=None).fit(X_train)
    without_scaling.save("plain")
    options = "--part test --standardise time-index --out e.npz"
    done = command(f"embed plain one --data data {options}")
    assert done.code == 0
    standardise = TimeIndexStandardiser(X_train)
    expected = without_scaling.transform(standardise(X_test))
    stored = read_npz("e.npz")
    assert_array_equal(stored["embeddings"], expected)


def test_a_part_without_labels_leaves_them_out(model, data, command):
    content = arrays()
    del content["y_test"]
    write(data, "unlabelled", content)
    done = command("embed model unlabelled --data data --out e.npz")
    assert done.code == 0
    stored = read_npz("e.npz")
    assert sorted(stored) == ["embeddings", "part"]
    assert len(stored["part"]) == 60


def test_a_model_of_another_library(model, data, command):
    folder = data.parent / "model"
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "model.safetensors").write_bytes(b"")
    done = command("embed model one --data data --out e.npz")
    assert done.code == 2
    assert "of another library" in done.err


def test_a_mixing_model_names_the_channels_that_it_needs(data, command):
    mixing = quick(max_epochs=0, channels="mix")
    mixing.fit(walks())
    mixing.save("mixing")
    done = command("embed mixing one --data data --out e.npz")
    assert done.code == 1
    assert "1 channels" in done.err


def test_a_table_with_a_column_of_labels(model, data, command):
    content = arrays()
    rows = [
        ",".join(map(str, [*series[0].tolist(), label]))
        for series, label in zip(content["X_test"], content["y_test"], strict=True)
    ]
    names = [f"t{i}" for i in range(content["X_test"].shape[2])]
    header = ",".join([*names, "state"])
    (data / "table.csv").write_text("\n".join([header, *rows]))
    done = command("embed model table.csv --data data --label state --out e.npz")
    assert done.code == 0
    stored = read_npz("e.npz")
    assert_array_equal(stored["embeddings"], model.transform(content["X_test"]))
    assert_array_equal(stored["y"], content["y_test"])
    done = command("embed model table.csv --data data --label stat --out e.npz")
    assert done.code == 2
    assert "did you mean 'state'" in done.err


def test_a_training_file_alone(model, data, command):
    (data / "Pumps_TRAIN.ts").write_text("@classLabel true on off\n@data\n1,2,3:on\n3,4,6:off\n")
    assert command("embed model data/Pumps_TRAIN.ts --out e.npz").code == 0
    stored = read_npz("e.npz")
    assert stored["part"].tolist() == ["train", "train"]
    assert stored["y"].tolist() == ["on", "off"]
