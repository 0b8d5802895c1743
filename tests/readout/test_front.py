"""The readout of the front end: rows, threads, lengths, channels, thresholds and axes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fei_sklearn.data import LazySeries, Panel
from fei_sklearn.encoder.dilated import DilatedEncoder
from fei_sklearn.inference import embed
from fei_sklearn.readout.front import FrontReadout, PrincipalAxes, fit_thresholds
from fei_sklearn.readout.spec import FRONT_QUANTILES, FRONT_VIEWS, FrontSpec
from fei_sklearn.readout.views import see

CPU = torch.device("cpu")
KERNELS = DilatedEncoder(generator=torch.Generator().manual_seed(0)).front_bank()


def noise(n, n_channels, length, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, n_channels, length)).astype(np.float32)
    x[0, :, length // 3 : length // 2] = 0
    return x


THRESHOLDS = fit_thresholds(KERNELS, Panel(noise(20, 1, 100)), FRONT_VIEWS)


def readout_of(spec=None, axes=None):
    return FrontReadout(KERNELS, spec or FrontSpec(), THRESHOLDS, axes)


def axes_of(n_components, n_features=2688):
    generator = np.random.default_rng(1)
    mean = generator.normal(size=n_features).astype(np.float32)
    components = generator.normal(size=(n_components, n_features)).astype(np.float32)
    return PrincipalAxes(mean, np.ones_like(mean), components)


def embedded(panel, readout=None, **options):
    return (readout or readout_of()).embed(panel, device=CPU, **options)


@pytest.mark.parametrize("length", [2, 3, 9, 40, 131, 512, 5000])
def test_a_row_is_the_same_alone_and_for_any_threads(length):
    panel = Panel(noise(7, 1, length))
    expected = embedded(panel)
    assert np.isfinite(expected).all()
    assert expected.shape == (7, 2688)
    assert np.array_equal(embedded(panel, n_threads=3), expected)
    for row in (0, 6):
        assert np.array_equal(embedded(panel.block(slice(row, row + 1))), expected[row : row + 1])


def test_a_row_among_many_is_the_same():
    x = noise(70, 1, 50)
    many = embedded(Panel(x), n_threads=2)
    assert np.array_equal(embedded(Panel(x[40:45])), many[40:45])


def test_series_of_unequal_length_are_as_alone():
    lengths = np.array([60, 2, 31, 60, 3])
    x = noise(5, 2, 60)
    together = embedded(Panel(x, lengths))
    for row, length in enumerate(lengths):
        alone = embedded(Panel(x[row : row + 1, :, :length]))
        assert np.array_equal(together[row], alone[0])


def test_channels_are_embedded_one_by_one():
    x = noise(4, 3, 50)
    expected = [embedded(Panel(x[:, channel : channel + 1])) for channel in range(3)]
    assert np.array_equal(embedded(Panel(x)), np.concatenate(expected, axis=1))


def test_the_small_form_is_nested_in_the_default():
    panel = Panel(noise(4, 1, 80))
    default = embedded(panel).reshape(4, 4, 7, 6, 16)
    small = embedded(panel, readout_of(FrontSpec(n_groups=1)))
    assert np.array_equal(small.reshape(4, 4, 7, 6, 8), default[..., :8])


def test_views_are_groups_of_columns():
    panel = Panel(noise(4, 1, 80))
    default = embedded(panel)
    for group in FrontSpec().feature_groups():
        alone = FrontSpec(views=(group.view,))
        (columns,) = [g.columns for g in alone.feature_groups() if g.statistic == group.statistic]
        assert np.array_equal(
            embedded(panel, readout_of(alone))[:, columns], default[:, group.columns]
        )


def test_statistics_have_their_ranges():
    features = embedded(Panel(noise(9, 1, 200)))
    for group in FrontSpec().feature_groups():
        values = features[:, group.columns]
        assert values.min() >= 0
        if group.statistic in ("ppv", "wins"):
            assert values.max() <= 1


def test_series_on_disk_are_read_block_by_block(monkeypatch):
    x = noise(10, 2, 40)
    reads = []

    def read(rows):
        reads.append(len(rows))
        return x[rows]

    monkeypatch.setattr("fei_sklearn.readout.front.VALUES_AT_ONCE", 3 * 2 * 40)
    lazy = Panel(LazySeries(read, x.shape))
    assert np.array_equal(embedded(lazy), embedded(Panel(x)))
    assert reads == [3, 3, 3, 1]


def test_an_array_receives_the_embeddings(tmp_path):
    panel = Panel(noise(5, 1, 40))
    out = np.memmap(tmp_path / "out", np.float32, "w+", shape=(5, 2688))
    assert embed(readout_of(), panel, device=CPU, out=out) is out
    assert np.array_equal(out, embedded(panel))
    with pytest.raises(ValueError, match=r"out must be .* \(5, 2688\)"):
        embed(readout_of(), panel, device=CPU, out=out[:, :7])


@pytest.mark.parametrize("axes", [None, axes_of(4)], ids=["features", "axes"])
def test_arrays_of_other_layouts_and_types_receive_the_embeddings(axes):
    panel = Panel(noise(5, 2, 40))
    readout = readout_of(axes=axes)
    expected = embedded(panel, readout)
    doubles = np.empty(expected.shape)
    columns = np.empty(expected.shape, np.float32, order="F")
    for out in (doubles, columns):
        embed(readout, panel, device=CPU, out=out)
        assert np.array_equal(out, expected)


def test_a_panel_without_series_is_refused():
    with pytest.raises(ValueError, match="no series to embed"):
        embed(readout_of(), Panel(noise(1, 1, 40)[:0]), device=CPU)


def test_series_of_one_point_are_refused():
    with pytest.raises(ValueError, match="at least 2 time points"):
        embedded(Panel(noise(2, 1, 1)))


def test_axes_project_each_channel_and_leave_rows_alone():
    panel = Panel(noise(6, 2, 40))
    axes = axes_of(5)
    projected = embedded(panel, readout_of(axes=axes), n_threads=2)
    assert projected.shape == (6, 10)
    features = embedded(panel).reshape(12, -1)
    wanted = np.clip(features - axes.mean, -8, 8) @ axes.components.T
    np.testing.assert_allclose(projected.reshape(12, -1), wanted, rtol=1e-3, atol=1e-3)
    alone = embedded(panel.block(slice(3, 4)), readout_of(axes=axes))
    assert np.array_equal(alone[0], projected[3])
    fewer = PrincipalAxes(axes.mean, axes.scale, axes.components[:3])
    shorter = embedded(panel, readout_of(axes=fewer)).reshape(12, -1)
    assert np.array_equal(shorter, projected.reshape(12, -1)[:, :3])


@pytest.mark.parametrize("lengths", [None, np.array([64, 9] * 10)], ids=["dense", "ragged"])
@pytest.mark.parametrize("view", ["level", "change"])
def test_thresholds_are_quantiles_of_the_maps(view, lengths):
    x = noise(20, 1, 64)
    panel = Panel(x, lengths)
    thresholds = fit_thresholds(KERNELS, panel, (view,))[view]
    assert thresholds.shape == (4, 96)
    if lengths is None:
        lengths = np.full(20, 64)
    seen, n_seen = see(x[:, 0], lengths, view)
    index, kernel = 2, 5
    spread = np.zeros(8 * 4 + 1)
    spread[::4] = KERNELS.kernels[index, kernel]
    maps = [
        np.correlate(np.pad(row[:length], 16), spread, mode="valid")
        for row, length in zip(seen, n_seen, strict=True)
    ]
    wanted = np.quantile(np.concatenate(maps), FRONT_QUANTILES)
    np.testing.assert_allclose(thresholds[:, 16 * index + kernel], wanted, atol=1e-5)


def test_thresholds_of_many_values_come_from_a_part_of_them(monkeypatch):
    panel = Panel(noise(40, 1, 100))
    every = fit_thresholds(KERNELS, panel, ("shape",))["shape"]
    monkeypatch.setattr("fei_sklearn.readout.front.MOST_THRESHOLD_VALUES", 1000)
    some = fit_thresholds(KERNELS, panel, ("shape",))["shape"]
    assert 0 < np.abs(some - every).max() < 0.3
