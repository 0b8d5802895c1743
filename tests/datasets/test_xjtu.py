"""XJTU-SY as the paper windows it."""

from __future__ import annotations

import numpy as np
import pytest

from fei_sklearn.datasets import _xjtu, datasets_in, load_dataset

N_RECORDINGS = [5, 4, 6, 3, 4]


@pytest.fixture
def signals(tmp_path, monkeypatch):
    """Write the second condition, with windows of 8 points, and return all its signals."""
    monkeypatch.setattr(_xjtu, "WINDOW", 8)
    monkeypatch.setitem(_xjtu.FIRST_PREDICTION, "OC-B", (2, 1, 3, 1, 2))
    rng = np.random.default_rng(0)
    signals = {}
    for bearing, n_files in enumerate(N_RECORDINGS, 1):
        folder = condition_folder(tmp_path) / f"Bearing2_{bearing}"
        folder.mkdir(parents=True)
        for number in range(1, n_files + 1):
            table = rng.normal(size=(20, 2)).round(4)
            path = folder / f"{number}.csv"
            np.savetxt(path, table, fmt="%.4f", delimiter=",", header="H,V", comments="")
            signals[bearing, number] = table[:, 0]
    return signals


def condition_folder(root):
    return root / "XJTU-SY_Bearing_Datasets" / "37.5Hz11kN"


def scaling(signals):
    """Return the minimum and the range of bearing 1."""
    whole = np.concatenate([signals[1, number] for number in range(1, 6)])
    return whole.min(), np.ptp(whole)


@pytest.mark.parametrize("place", ["name", "folder", "folder above"])
def test_windows_and_lives_of_bearings(signals, tmp_path, place):
    folder = condition_folder(tmp_path)
    assert datasets_in(tmp_path) == ["OC-B"]
    places = {"name": "OPB", "folder": folder, "folder above": folder.parent}
    dataset = load_dataset(places[place], tmp_path)
    low, height = scaling(signals)

    first_windows = [signals[1, number][:8] for number in range(1, 6)]
    expected = (np.array(first_windows) - low) / height
    np.testing.assert_allclose(dataset.X_train[:, 0], expected, atol=1e-6)
    np.testing.assert_allclose(dataset.y_train, [1, 1, 2 / 3, 1 / 3, 0])

    all_windows = [signals[2, number][:16].reshape(2, 8) for number in range(1, 5)]
    expected = (np.concatenate(all_windows) - low) / height
    np.testing.assert_allclose(dataset.X_val[:, 0], expected, atol=1e-6)
    lives = np.repeat([1, 2 / 3, 1 / 3, 0], 2)
    np.testing.assert_allclose(dataset.y_val, lives, rtol=1e-6)

    assert dataset.groups_test.tolist() == [3] * 12 + [4] * 6 + [5] * 8
    expected = (signals[4, 1][:8] - low) / height
    np.testing.assert_allclose(dataset.X_test[12, 0], expected, atol=1e-6)
    assert dataset.y_test[-2:].tolist() == [0, 0]


@pytest.mark.usefixtures("signals")
def test_a_missing_recording_or_bearing_is_reported(tmp_path):
    folder = condition_folder(tmp_path)
    recording = folder / "Bearing2_1" / "3.csv"
    moved = recording.rename(recording.with_name("9.csv"))
    with pytest.raises(FileNotFoundError, match=r"no 3\.csv in"):
        load_dataset("OC-B", tmp_path)
    moved.rename(recording)
    first_bearing = folder / "Bearing2_1"
    moved = first_bearing.rename(folder / "moved")
    first_bearing.mkdir()
    with pytest.raises(FileNotFoundError, match=r"no 1\.csv in"):
        load_dataset("OC-B", tmp_path)
    first_bearing.rmdir()
    moved.rename(first_bearing)
    (folder / "Bearing2_5").rename(folder / "gone")
    with pytest.raises(FileNotFoundError, match="no folder Bearing2_5 in"):
        load_dataset("OC-B", tmp_path)


@pytest.mark.usefixtures("signals")
def test_a_damaged_recording_is_refused(tmp_path):
    recording = condition_folder(tmp_path) / "Bearing2_1" / "3.csv"
    whole = recording.read_text()
    recording.write_text("H,V\n" + "1,2\n" * 7)
    with pytest.raises(ValueError, match=r"3\.csv has 7 points, fewer than a window of 8"):
        load_dataset("OC-B", tmp_path)
    recording.write_text(whole.replace("-", "x"))
    with pytest.raises(ValueError, match=r"3\.csv is damaged"):
        load_dataset("OC-B", tmp_path)


@pytest.mark.usefixtures("signals")
def test_recordings_with_other_numbers_of_windows_are_refused(tmp_path):
    recording = condition_folder(tmp_path) / "Bearing2_2" / "3.csv"
    recording.write_text("H,V\n" + "1,2\n" * 9)
    with pytest.raises(ValueError, match=r"3\.csv has 9 points, others of its bearing"):
        load_dataset("OC-B", tmp_path)


@pytest.mark.usefixtures("signals")
def test_a_bearing_without_wear_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(_xjtu.FIRST_PREDICTION, "OC-B", (5, 1, 3, 1, 2))
    with pytest.raises(ValueError, match=r"5 recordings, .* after recording 5"):
        load_dataset("OC-B", tmp_path)


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("bearing", [1, 4])
@pytest.mark.parametrize("value", ["inf", "nan"])
def test_a_value_that_is_not_finite_is_named_with_its_line(tmp_path, bearing, value):
    recording = condition_folder(tmp_path) / f"Bearing2_{bearing}" / "3.csv"
    lines = recording.read_text().splitlines()
    lines[6] = f"{value},0"
    recording.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=rf"3\.csv, line 7 has the value {value}"):
        load_dataset("OC-B", tmp_path)


def test_signals_far_from_zero_keep_their_shape(signals, tmp_path):
    expected = load_dataset("OC-B", tmp_path)
    for bearing, n_files in enumerate(N_RECORDINGS, 1):
        folder = condition_folder(tmp_path) / f"Bearing2_{bearing}"
        for number in range(1, n_files + 1):
            table = np.repeat(signals[bearing, number][:, np.newaxis] + 1e6, 2, axis=1)
            np.savetxt(folder / f"{number}.csv", table, delimiter=",", header="H,V", comments="")
    shifted = load_dataset("OC-B", tmp_path)
    np.testing.assert_allclose(shifted.X_train, expected.X_train, atol=1e-6)
    np.testing.assert_allclose(shifted.X_test, expected.X_test, atol=1e-6)
