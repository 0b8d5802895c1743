"""C-MAPSS as the paper windows it."""

from __future__ import annotations

import numpy as np
import pytest

from fei_sklearn.datasets import datasets_in, load_dataset
from fei_sklearn.datasets._cmapss import _validation_engines

TRAIN_LIVES = [150, 40, 34, 200, 36, 50, 60, 70, 45, 130]
TEST_CYCLES = [60, 20, 100]
REMAINING = [100, 30, 7]


def engine_rows(lengths, seed):
    """Return the rows of a C-MAPSS table."""
    rng = np.random.default_rng(seed)
    tables = []
    for unit, length in enumerate(lengths, 1):
        table = rng.normal(size=(length, 26)).round(3)
        table[:, 0] = unit
        table[:, 1] = np.arange(1, length + 1)
        tables.append(table)
    return np.concatenate(tables)


def write_cmapss(folder, subset="FD001"):
    folder.mkdir(exist_ok=True)
    train = engine_rows(TRAIN_LIVES, seed=0)
    test = engine_rows(TEST_CYCLES, seed=1)
    np.savetxt(folder / f"train_{subset}.txt", train, fmt="%.4f")
    np.savetxt(folder / f"test_{subset}.txt", test, fmt="%.4f")
    np.savetxt(folder / f"RUL_{subset}.txt", REMAINING, fmt="%d")
    return train, test


def expected_windows(rows, remaining):
    """Return windows of sensor s_2 and the capped share of life after each, one by one."""
    windows = []
    lives = []
    life = len(rows) + remaining
    remaining_at_first_cycle = min(life - 1, 125)
    for end in range(35, len(rows) + 1):
        windows.append(rows[end - 35 : end, 6])
        remaining_at_end = min(life - end, 125)
        lives.append((remaining_at_end + 1) / (remaining_at_first_cycle + 1))
    return windows, lives


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_windows_and_lives_equal_a_loop_over_the_engines(tmp_path, part):
    train, test = write_cmapss(tmp_path / "CMAPSS")
    dataset = load_dataset("FD001", tmp_path)
    held_out = set(dataset.groups_val.tolist())
    is_held_out = np.isin(train[:, 0], list(held_out))
    sensor = train[~is_held_out, 6]
    low = sensor.min()
    high = sensor.max()

    table = {"train": train[~is_held_out], "val": train[is_held_out], "test": test}[part]
    X = []
    y = []
    groups = []
    for unit in np.unique(table[:, 0]):
        rows = table[table[:, 0] == unit]
        remaining = REMAINING[int(unit) - 1] if part == "test" else 0
        windows, lives = expected_windows(rows, remaining)
        X += windows
        y += lives
        groups += [unit] * len(windows)
    scaled = (np.array(X) - low) / (high - low) * 2 - 1
    np.testing.assert_allclose(getattr(dataset, f"X_{part}")[:, 0], scaled, atol=1e-5)
    np.testing.assert_allclose(getattr(dataset, f"y_{part}"), y, rtol=1e-6)
    np.testing.assert_array_equal(getattr(dataset, f"groups_{part}"), groups)


def test_the_parts_share_no_engine_and_the_scaling_is_that_of_training(tmp_path):
    write_cmapss(tmp_path / "CMAPSS")
    dataset = load_dataset("FD001", tmp_path)
    held_out = set(dataset.groups_val.tolist())
    assert held_out
    assert not held_out & set(dataset.groups_train.tolist())
    assert dataset.X_train.min() == -1
    assert dataset.X_train.max() == 1
    assert set(dataset.groups_test.tolist()) == {1, 3}  # engine 2 has no 35 cycles


def test_the_same_engines_validate_as_in_the_paper():
    # numpy.random.seed(2023); numpy.random.choice(range(1, 101), 20, replace=False), but engine 1
    drawn = {3, 10, 13, 17, 21, 25, 27, 36, 44, 45, 47, 57, 67, 69, 77, 83, 84, 90, 92}
    assert {i + 1 for i in _validation_engines(100)} == drawn


@pytest.mark.parametrize("place", ["cmapss.npz", "raw", "raw/train_FD001.txt"])
def test_an_archive_and_a_folder_hold_the_same_set(tmp_path, place):
    train, test = write_cmapss(tmp_path / "raw")
    arrays = {"train_FD001": train, "test_FD001": test, "rul_FD001": np.array(REMAINING)}
    np.savez(tmp_path / "cmapss.npz", **arrays)
    assert datasets_in(tmp_path, "regression") == ["FD001"]
    archived = load_dataset("FD001", tmp_path)
    dataset = load_dataset(place, tmp_path)
    np.testing.assert_allclose(dataset.X_test, archived.X_test, atol=1e-5)
    np.testing.assert_array_equal(dataset.y_val, archived.y_val)


def test_a_folder_of_two_subsets_is_loaded_by_name_only(tmp_path):
    write_cmapss(tmp_path / "raw")
    write_cmapss(tmp_path / "raw", "FD003")
    with pytest.raises(ValueError, match=r"has FD001, FD003: load one by its name"):
        load_dataset("raw", tmp_path)
    assert load_dataset("FD003", tmp_path / "raw").name == "FD003"


def test_a_damaged_table_is_refused(tmp_path):
    folder = tmp_path / "CMAPSS"
    write_cmapss(folder)
    path = folder / "train_FD001.txt"
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    without_a_line = "".join(lines[:5] + lines[6:])
    for content, message in [
        (whole[:-30], "train_FD001.txt is damaged or cut short"),
        (without_a_line, "cycles of engine 1 in the train table"),
        ("1 2 3\n", "3 columns instead of 26"),
    ]:
        path.write_text(content)
        with pytest.raises(ValueError, match=message):
            load_dataset("FD001", tmp_path)


def test_missing_lives_are_reported(tmp_path):
    folder = tmp_path / "CMAPSS"
    write_cmapss(folder)
    path = folder / "RUL_FD001.txt"
    path.write_text("5\n6\n")
    with pytest.raises(ValueError, match="3 engines, but there are 2 remaining lives"):
        load_dataset("FD001", tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no RUL_FD001\.txt in"):
        load_dataset("FD001", tmp_path)


@pytest.mark.parametrize("value", ["inf", "nan"])
@pytest.mark.parametrize("table", ["train", "test"])
def test_a_value_that_is_not_finite_is_named_with_its_line(tmp_path, table, value):
    folder = tmp_path / "CMAPSS"
    write_cmapss(folder)
    path = folder / f"{table}_FD001.txt"
    lines = path.read_text().splitlines()
    fields = lines[4].split()
    fields[6] = value
    lines[4] = " ".join(fields)
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=rf"{table}_FD001\.txt, line 5 has the value {value}"):
        load_dataset("FD001", tmp_path)


def test_a_negative_remaining_life_is_refused(tmp_path):
    folder = tmp_path / "CMAPSS"
    write_cmapss(folder)
    (folder / "RUL_FD001.txt").write_text("5\n-39\n7\n")
    with pytest.raises(ValueError, match=r"RUL_FD001\.txt, line 2 has the remaining life -39"):
        load_dataset("FD001", tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": np.inf}, "row 5 of the train table has the value inf"),
        ({"rul": -39.0}, "remaining life -39"),
    ],
)
def test_a_damaged_archive_is_refused(tmp_path, changes, message):
    train, test = write_cmapss(tmp_path / "raw")
    train[4, 6] = changes.get("train", 0.0)
    remaining = np.array([changes.get("rul", 1.0), 30, 7])
    arrays = {"train_FD001": train, "test_FD001": test, "rul_FD001": remaining}
    np.savez(tmp_path / "cmapss.npz", **arrays)
    with pytest.raises(ValueError, match=rf"cmapss\.npz.*{message}"):
        load_dataset("FD001", tmp_path)


def test_a_missing_engine_is_refused(tmp_path):
    folder = tmp_path / "CMAPSS"
    write_cmapss(folder)
    path = folder / "train_FD001.txt"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("3.0")))
    with pytest.raises(ValueError, match="engine 3 of the train table has the number 4"):
        load_dataset("FD001", tmp_path)
