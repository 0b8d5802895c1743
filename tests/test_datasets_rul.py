"""Remaining useful life: C-MAPSS and XJTU-SY as the paper windows them."""

from __future__ import annotations

import numpy as np
import pytest

from fei_sklearn.datasets import _cmapss, _xjtu, datasets_in, load_dataset

TRAIN_LIVES = [150, 40, 34, 200, 36, 50, 60, 70, 45, 130]
TEST_CYCLES, REMAINING = [60, 20, 100], [100, 30, 7]


def engines(lengths, seed):
    """Rows of a C-MAPSS table."""
    rng = np.random.default_rng(seed)
    tables = []
    for unit, length in enumerate(lengths, 1):
        table = rng.normal(size=(length, 26)).round(3)
        table[:, 0], table[:, 1] = unit, np.arange(1, length + 1)
        tables.append(table)
    return np.concatenate(tables)


def write_cmapss(folder, subset="FD001"):
    folder.mkdir(exist_ok=True)
    train, test = engines(TRAIN_LIVES, 0), engines(TEST_CYCLES, 1)
    np.savetxt(folder / f"train_{subset}.txt", train, fmt="%.4f")
    np.savetxt(folder / f"test_{subset}.txt", test, fmt="%.4f")
    np.savetxt(folder / f"RUL_{subset}.txt", REMAINING, fmt="%d")
    return train, test


def test_windows_and_lives_of_cmapss(tmp_path):
    """Against loops over the engines, as the protocol says it."""
    train, test = write_cmapss(tmp_path / "CMAPSS")
    dataset = load_dataset("FD001", tmp_path)
    held_out = set(dataset.groups_val.tolist())
    assert held_out and not held_out & set(dataset.groups_train.tolist())
    fitted_on = train[~np.isin(train[:, 0], list(held_out)), 6]
    low, high = fitted_on.min(), fitted_on.max()
    for part, table in ("train", train), ("val", train), ("test", test):
        X, y, groups = [], [], []
        for unit in np.unique(table[:, 0]):
            rows = table[table[:, 0] == unit]
            if part != "test" and (unit in held_out) != (part == "val"):
                continue
            after = REMAINING[int(unit) - 1] if part == "test" else 0
            life = len(rows) + after
            for end in range(35, len(rows) + 1):
                X.append((rows[end - 35 : end, 6] - low) / (high - low) * 2 - 1)
                highest = 125 if life > 125 else life - 1  # remaining at the first cycle, capped
                y.append((min(life - end, 125) + 1) / (highest + 1))
                groups.append(unit)
        np.testing.assert_allclose(getattr(dataset, f"X_{part}")[:, 0], X, atol=1e-5)
        np.testing.assert_allclose(getattr(dataset, f"y_{part}"), y, rtol=1e-6)
        np.testing.assert_array_equal(getattr(dataset, f"groups_{part}"), groups)
    assert dataset.X_train.min() == -1 and dataset.X_train.max() == 1
    assert set(dataset.groups_test.tolist()) == {1, 3}  # 20 cycles are no window


def test_the_same_engines_validate_as_in_the_paper():
    # numpy.random.seed(2023); numpy.random.choice(range(1, 101), 20, replace=False), but engine 1
    drawn = {3, 10, 13, 17, 21, 25, 27, 36, 44, 45, 47, 57, 67, 69, 77, 83, 84, 90, 92}
    assert {i + 1 for i in _cmapss._validation_engines(100)} == drawn


def test_cmapss_tables_in_an_archive_and_by_path(tmp_path):
    train, test = write_cmapss(tmp_path / "raw")
    arrays = {"train_FD001": train, "test_FD001": test, "rul_FD001": np.array(REMAINING)}
    np.savez(tmp_path / "cmapss.npz", **arrays)
    assert datasets_in(tmp_path, "regression") == ["FD001"]
    archived = load_dataset("FD001", tmp_path)
    for place in "cmapss.npz", "raw", "raw/train_FD001.txt":
        dataset = load_dataset(place, tmp_path)
        np.testing.assert_allclose(dataset.X_test, archived.X_test, atol=1e-5)
        np.testing.assert_array_equal(dataset.y_val, archived.y_val)
    write_cmapss(tmp_path / "raw", "FD003")
    with pytest.raises(ValueError, match=r"has FD001, FD003: load one by its name"):
        load_dataset("raw", tmp_path)
    assert load_dataset("FD003", tmp_path / "raw").name == "FD003"


def test_damaged_cmapss_is_refused(tmp_path):
    folder = tmp_path / "CMAPSS"
    write_cmapss(folder)
    whole = (folder / "train_FD001.txt").read_text()
    lines = whole.splitlines(keepends=True)
    for content, message in [
        (whole[:-30], "train_FD001.txt is damaged or cut short"),
        ("".join(lines[:5] + lines[6:]), "cycles of engine 1 in the train table"),
        ("1 2 3\n", "3 columns instead of 26"),
    ]:
        (folder / "train_FD001.txt").write_text(content)
        with pytest.raises(ValueError, match=message):
            load_dataset("FD001", tmp_path)
    (folder / "train_FD001.txt").write_text(whole)
    (folder / "RUL_FD001.txt").write_text("5\n6\n")
    with pytest.raises(ValueError, match="3 engines, but there are 2 remaining lives"):
        load_dataset("FD001", tmp_path)
    (folder / "RUL_FD001.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"no RUL_FD001\.txt in"):
        load_dataset("FD001", tmp_path)


N_RECORDINGS = [5, 4, 6, 3, 4]


@pytest.fixture
def bearings(tmp_path, monkeypatch):
    """The second condition, with windows of 8 of the 20 points of a recording."""
    monkeypatch.setattr(_xjtu, "WINDOW", 8)
    monkeypatch.setitem(_xjtu.FIRST_PREDICTION, "OC-B", (2, 1, 3, 1, 2))
    folder = tmp_path / "XJTU-SY_Bearing_Datasets" / "37.5Hz11kN"
    rng = np.random.default_rng(0)
    signals = {}
    for bearing, n_files in enumerate(N_RECORDINGS, 1):
        (folder / f"Bearing2_{bearing}").mkdir(parents=True)
        for number in range(1, n_files + 1):
            table = rng.normal(size=(20, 2)).round(4)
            path = folder / f"Bearing2_{bearing}" / f"{number}.csv"
            np.savetxt(path, table, fmt="%.4f", delimiter=",", header="H,V", comments="")
            signals[bearing, number] = table[:, 0]
    return folder, signals


def test_windows_and_lives_of_bearings(bearings, tmp_path):
    folder, signals = bearings
    assert datasets_in(tmp_path) == ["OC-B"]
    whole = np.concatenate([signals[1, number] for number in range(1, 6)])
    low, high = whole.min(), whole.max()
    expected = {
        "train": [signals[1, i][:8] for i in range(1, 6)],
        "val": [signals[2, i][s : s + 8] for i in range(1, 5) for s in (0, 8)],
    }
    for place in "OPB", folder, folder.parent:
        dataset = load_dataset(place, tmp_path)
        for part, windows in expected.items():
            X = getattr(dataset, f"X_{part}")[:, 0]
            np.testing.assert_allclose(X, (np.array(windows) - low) / (high - low), atol=1e-6)
        np.testing.assert_allclose(dataset.y_train, [1, 1, 2 / 3, 1 / 3, 0])
        np.testing.assert_allclose(dataset.y_val, np.repeat([1, 2 / 3, 1 / 3, 0], 2), rtol=1e-6)
        assert dataset.groups_test.tolist() == [3] * 12 + [4] * 6 + [5] * 8
        np.testing.assert_allclose(
            dataset.X_test[12, 0], (signals[4, 1][:8] - low) / (high - low), atol=1e-6
        )
        assert dataset.y_test[-2:].tolist() == [0, 0]


def test_incomplete_bearings_are_refused(bearings, tmp_path, monkeypatch):
    folder, _ = bearings
    first = folder / "Bearing2_1"
    (first / "3.csv").rename(first / "9.csv")
    with pytest.raises(FileNotFoundError, match=r"no 3\.csv in"):
        load_dataset("OC-B", tmp_path)
    (first / "9.csv").rename(first / "3.csv")
    whole = (first / "3.csv").read_text()
    (first / "3.csv").write_text("H,V\n" + "1,2\n" * 7)
    with pytest.raises(ValueError, match=r"3\.csv has 7 points, fewer than a window of 8"):
        load_dataset("OC-B", tmp_path)
    (first / "3.csv").write_text(whole.replace("-", "x"))
    with pytest.raises(ValueError, match=r"3\.csv is damaged"):
        load_dataset("OC-B", tmp_path)
    (first / "3.csv").write_text(whole)
    monkeypatch.setitem(_xjtu.FIRST_PREDICTION, "OC-B", (5, 1, 3, 1, 2))
    with pytest.raises(ValueError, match=r"5 recordings, .* after recording 5"):
        load_dataset("OC-B", tmp_path)
    (folder / "Bearing2_5").rename(folder / "gone")
    monkeypatch.setitem(_xjtu.FIRST_PREDICTION, "OC-B", (2, 1, 3, 1, 2))
    with pytest.raises(FileNotFoundError, match="no folder Bearing2_5 in"):
        load_dataset("OC-B", tmp_path)
