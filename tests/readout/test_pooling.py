"""Pooling: views, statistics, biases, and the features of an embedding, against NumPy."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
import torch
from quick import assert_close, dilated, quick, walks
from torch import nn

from fei_sklearn import FEIEmbedder
from fei_sklearn._bridge.pretraining import BIAS_SAMPLE
from fei_sklearn.encoder.maps import BlockMaps
from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.readout import pooling
from fei_sklearn.readout.spec import (
    BIAS_QUANTILES,
    STATISTICS,
    VIEWS,
    ReadoutSpec,
    resolve,
)

LENGTHS = np.array([30, 17, 2, 9])
NUMPY = {"mean": np.mean, "max": np.max, "std": np.std}


def resolved(**params):
    """Return the readout of two encoded channels and a narrow encoder."""
    given = {"pooling": "auto", "layers": "auto", "views": "auto"} | params
    return resolve(**given, stage_widths=(2, 4, 8, 16), n_encoded=2)


def rich(**params):
    return quick(**({"pooling": "auto"} | params))


def ragged(n=20):
    """Return series of two channels and of several lengths."""
    return [series[:, : LENGTHS[i % 4]] for i, series in enumerate(walks(n))]


class Staged(nn.Module):
    """A user's own encoder with stages, and no blocks."""

    def __init__(self, n_channels):
        super().__init__()
        self.first = nn.Conv1d(n_channels, 6, 3, padding=1)
        self.second = nn.Conv1d(6, 12, 3, padding=1)

    def stages(self, x, lengths=None):
        first = self.first(x).relu()
        return [(first, lengths), (self.second(first), lengths)]

    def forward(self, x):
        return self.stages(x)[-1][0]


# Views and statistics


def numpys_view(series, view):
    """Return a view of one series of shape (n_channels, n_timepoints)."""
    if view == "level":
        return series
    if view == "change":
        series = np.diff(series, axis=1)
        series = np.concatenate([series[:, :1], series], axis=1)
    deviation = series.std(axis=1, keepdims=True)
    centred = series - series.mean(axis=1, keepdims=True)
    return np.divide(centred, deviation, out=np.zeros_like(series), where=deviation > 1e-6)


@pytest.mark.parametrize("view", VIEWS)
def test_views_are_numpys(view):
    X = walks(4)
    X[1, 0] = 0.25
    of_all = pooling.view_of(torch.from_numpy(X), view)
    expected = np.stack([numpys_view(series, view) for series in X])
    np.testing.assert_allclose(of_all, expected, atol=1e-12)


@pytest.mark.parametrize("view", VIEWS)
def test_views_leave_padding_out_and_zero(view):
    X = walks(4)
    X[1, 0] = 0.25  # whose end the differences must not see
    expected = np.zeros_like(X)
    for row, series, n in zip(expected, X, LENGTHS, strict=True):
        row[:, :n] = numpys_view(series[:, :n], view)
        series[:, n:] = 0.0
    seen = pooling.view_of(torch.from_numpy(X), view, torch.from_numpy(LENGTHS))
    np.testing.assert_allclose(seen, expected, atol=1e-12)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["dense", "ragged"])
def test_proportions_are_numpys_bias_by_bias(lengths):
    maps = walks(4, 3)
    biases = np.array([[-1.0, 0.0, 2.0], [0.5, 1.5, -0.5]])
    n_steps = np.full(4, 30) if lengths is None else lengths
    expected = [
        [(m[i, :n] > bias[i]).mean() for bias in biases for i in range(3)]
        for m, n in zip(maps, n_steps, strict=True)
    ]
    lengths = None if lengths is None else torch.from_numpy(lengths)
    seen = pooling.proportion_above(torch.from_numpy(maps), torch.from_numpy(biases), lengths)
    np.testing.assert_allclose(seen, expected, atol=1e-12)


@pytest.mark.parametrize("n_steps", [1, 2, 7, 30])
def test_proportions_in_halves_are_those_of_the_halves(n_steps):
    maps = walks(4, 3, n_steps)
    biases = np.array([[-1.0, 0.0, 2.0], [0.5, 1.5, -0.5]])
    half = (n_steps + 1) // 2
    expected = np.concatenate(
        [
            pooling.proportion_above(torch.from_numpy(part), torch.from_numpy(biases))
            for part in (maps[..., :half], maps[..., n_steps - half :])
        ],
        axis=1,
    )
    padded = np.concatenate([maps, np.full((4, 3, 5), 9.0)], axis=2)
    for x, lengths in ((maps, None), (padded, torch.full((4,), n_steps))):
        seen = pooling.proportion_above_in_halves(
            torch.from_numpy(x), torch.from_numpy(biases), lengths
        )
        np.testing.assert_allclose(seen, expected, atol=1e-12)


@pytest.mark.parametrize("statistic", NUMPY)
def test_statistics_are_numpys_and_leave_padding_out(statistic):
    maps = walks(4, 5, 8) - 3.0
    n_steps = np.array([8, 3, 1, 5])
    expected = [NUMPY[statistic](m[:, :n], axis=1) for m, n in zip(maps, n_steps, strict=True)]
    for row, n in zip(maps, n_steps, strict=True):
        row[:, n:] = 0.0
    pooled = pooling.pool(torch.from_numpy(maps), torch.from_numpy(n_steps), statistic)
    np.testing.assert_allclose(pooled, np.stack(expected), rtol=1e-12, atol=1e-12)
    whole = pooling.pool(torch.from_numpy(maps), None, statistic)
    np.testing.assert_allclose(whole, NUMPY[statistic](maps, axis=2), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n_steps", [None, torch.tensor([1, 4])], ids=["dense", "ragged"])
def test_the_deviation_of_a_constant_has_a_gradient(n_steps):
    maps = torch.ones((2, 3, 4), requires_grad=True)
    pooling.pool(maps, n_steps, "std").sum().backward()
    assert torch.isfinite(maps.grad).all()


# Biases


def numpys_maps(encoder, series, view):
    """Return (activated, summed) of each block for one series that is scaled already."""
    seen = numpys_view(series.astype(np.float64), view).astype(np.float32)
    with torch.no_grad():
        blocks = encoder.block_maps(torch.from_numpy(seen[np.newaxis]))
    return [(block.activated[0].numpy(), block.summed[0].numpy()) for block in blocks]


@pytest.mark.parametrize("n_samples", [20, 150])
def test_biases_are_quantiles_over_series_spread_over_the_panel(n_samples):
    X = walks(n_samples, n_channels=1)
    embedder = rich(scaling=None).fit(X)
    encoder = embedder.encoder_
    rows = np.unique(np.linspace(0, n_samples - 1, BIAS_SAMPLE).astype(int))
    for view in VIEWS:
        per_series = [numpys_maps(encoder, series, view) for series in X[rows]]
        pooled = [np.concatenate([maps[b][1] for maps in per_series], axis=1) for b in range(8)]
        expected = [np.quantile(values, BIAS_QUANTILES, axis=1) for values in pooled]
        biases = embedder.weights_[f"biases.{view}"]
        assert biases.shape == (9, 2 * (2 + 4 + 8 + 16)) and biases.dtype == np.float32
        assert_close(biases, np.concatenate(expected, axis=1))


def test_biases_leave_padding_out():
    series = ragged()
    embedder = rich(scaling=None, channels="mix").fit(series)
    encoder = embedder.encoder_
    pooled = [numpys_maps(encoder, item, "shape") for item in series]
    first = np.concatenate([maps[0][1] for maps in pooled], axis=1)
    expected = np.quantile(first, BIAS_QUANTILES, axis=1)
    assert_close(embedder.weights_["biases.shape"][:, :2], expected)


def test_many_values_are_thinned(monkeypatch):
    monkeypatch.setattr(pooling, "MOST_BIAS_VALUES", 40)
    values = np.random.default_rng(0).normal(size=(5, 3, 30)).astype(np.float32)
    every_fourth = np.moveaxis(values, 1, 2).reshape(-1, 3)[::4]
    expected = np.quantile(every_fourth, BIAS_QUANTILES, axis=0)
    maps = torch.from_numpy(values)
    quantiles = pooling._quantiles(BlockMaps(maps, maps, None))
    np.testing.assert_allclose(quantiles, expected, rtol=1e-5, atol=1e-6)


def test_a_fit_from_a_model_takes_the_biases_of_its_own_panel(tmp_path):
    model = rich().fit(walks())
    model.save(tmp_path)
    panel = 3.0 * walks(seed=1)
    start = rich(pretrained=tmp_path, max_epochs=0).fit(panel)
    for name, array in model.weights_.items():
        same = np.array_equal(start.weights_[name], array)
        assert same != name.startswith("biases."), name


@pytest.mark.parametrize(
    ("encoder", "layers", "taken"),
    [
        (FEIEncoder(1, 8), "blocks", slice(0, 30)),
        (FEIEncoder(1, 8), "last", slice(22, 30)),
        (Staged(1), "all", slice(0, 18)),
        (Staged(1), "last", slice(6, 18)),
        (dilated(1), "last", slice(0, 12)),
    ],
    ids=["blocks", "last block", "stages", "last stage", "map"],
)
def test_biases_of_layers_are_those_of_their_maps(encoder, layers, taken):
    stage_widths = {FEIEncoder: (1, 2, 4, 8), Staged: (6, 12)}.get(type(encoder), (12,))
    biases = torch.arange(60.0).reshape(2, 30)[:, : taken.stop]
    selected = pooling.biases_of_layers(biases, encoder, stage_widths, layers)
    assert torch.equal(selected, biases[:, taken])


def test_biases_of_stages_are_those_of_their_last_blocks():
    biases = torch.arange(30.0)[None]
    selected = pooling.biases_of_layers(biases, FEIEncoder(1, 8), (1, 2, 4, 8), "all")
    assert selected.tolist() == [[1, 4, 5, *range(10, 14), *range(22, 30)]]


# The features


def numpys_shares(summed, biases, n_later):
    """Return the "ppv" features of the map of a series."""
    if n_later == 0:
        biases = biases[[0, 2, 4, 6, 8]]
    parts = [(summed, biases)]
    if n_later > 1:
        half = (summed.shape[1] + 1) // 2
        parts += [(summed[:, :half], biases[[2, 4, 6]]), (summed[:, -half:], biases[[2, 4, 6]])]
    return [(part > row[:, np.newaxis]).mean(axis=1) for part, rows in parts for row in rows]


def numpys_features(encoder, weights, series, spec):
    """Return the features of one series of one channel from the encoder's `block_maps`."""
    features = []
    for view in spec.views:
        blocks = numpys_maps(encoder, series, view)
        ends = np.cumsum([summed.shape[0] for _, summed in blocks])
        biases = np.split(weights[f"biases.{view}"], ends[:-1], axis=1)
        taken = {"last": slice(7, 8), "all": slice(1, 8, 2), "blocks": slice(0, 8)}[spec.layers]
        shares = [numpys_shares(blocks[b][1], biases[b], 3 - b // 2) for b in range(8)]
        for (activated, summed), of_block in list(zip(blocks, shares, strict=True))[taken]:
            of_map = {
                "mean": [activated.mean(axis=1)],
                "max": [summed.max(axis=1)],
                "std": [summed.std(axis=1)],
                "ppv": of_block,
            }
            features += [part for name in spec.statistics for part in of_map[name]]
    return np.concatenate(features)


def assert_equal_but_for_flips(actual, expected):
    """Check that features are close; one share in a thousand may flip by a step."""
    far = np.abs(actual - expected) > 2e-5 * np.abs(expected).max()
    assert actual.shape == expected.shape and far.mean() < 1e-3
    np.testing.assert_allclose(actual[far], expected[far], atol=0.51)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"layers": "all", "views": ("change", "shape")},
        {"layers": "last"},
        {"pooling": ("ppv", "std"), "layers": "blocks"},
        {"pooling": "ppv", "views": "change"},
    ],
    ids=str,
)
def test_features_are_those_of_numpy(params):
    X = walks(18, n_timepoints=64)
    embedder = rich(scaling=None, **params).fit(X)
    spec = resolved(**{"pooling": "auto"} | params)
    fitted = embedder.encoder_, embedder.weights_
    expected = [
        np.concatenate([numpys_features(*fitted, channel[np.newaxis], spec) for channel in series])
        for series in X
    ]
    assert_equal_but_for_flips(embedder.transform(X), np.stack(expected))
    assert len(embedder.get_feature_names_out()) == len(expected[0])


def test_stages_come_one_by_one_and_in_them_the_statistics():
    maps = [walks(3, width, 4) for width in (2, 5)]

    class StagedMaps(nn.Module):
        def stages(self, x, lengths):
            return [(torch.from_numpy(m), None) for m in maps]

    readout = pooling.Readout(StagedMaps(), ReadoutSpec(("std", "mean"), "all"))
    expected = [NUMPY[s](m, axis=2) for m in maps for s in ("std", "mean")]
    np.testing.assert_allclose(readout(torch.zeros(3, 1, 9)), np.concatenate(expected, axis=1))


@pytest.fixture(scope="module", params=[{}, {"channels": "mix"}, {"encoder": 64}], ids=str)
def fitted(request):
    return rich(**request.param).fit(walks())


@pytest.mark.parametrize("n_timepoints", [2, 30, 101])
def test_a_row_is_the_same_in_any_company_and_alone(fitted, n_timepoints):
    X = walks(40, n_timepoints=n_timepoints)
    whole = fitted.transform(X)
    for rows in ([7], [39, 3], np.arange(15), np.arange(17)[::-1], np.arange(33)):
        np.testing.assert_array_equal(fitted.transform(X[rows]), whole[rows])


def test_a_ragged_row_is_the_same_in_any_company_and_close_to_itself_alone(fitted):
    series = ragged(24)
    whole = fitted.transform(series)
    rows = [5, 2, 17, 12, 3]
    np.testing.assert_array_equal(fitted.transform([series[i] for i in rows]), whole[rows])
    alone = np.concatenate([fitted.transform(item[np.newaxis]) for item in series])
    assert_equal_but_for_flips(whole, alone)


# Kept, and changed after fit


def test_biases_are_kept(fitted, tmp_path):
    fitted.save(tmp_path)
    expected = fitted.transform(walks(seed=3))
    for again in (FEIEmbedder.load(tmp_path), pickle.loads(pickle.dumps(fitted))):
        for view in VIEWS:
            name = f"biases.{view}"
            np.testing.assert_array_equal(again.weights_[name], fitted.weights_[name])
        np.testing.assert_array_equal(again.transform(walks(seed=3)), expected)


def test_any_readout_may_be_set_after_fit():
    """One fit has what all readouts need: each gives what a fit with it would have given."""
    X = walks(6)
    embedder = quick().fit(X)
    whole = embedder.set_params(pooling=STATISTICS, layers="blocks", views=VIEWS).transform(X)
    by_map = {}
    for channel, rows in enumerate(np.split(whole, 2, axis=1)):
        start = 0
        for view, block in itertools.product(VIEWS, range(8)):
            for statistic in STATISTICS:
                width = (2, 4, 8, 16)[block // 2]
                if statistic == "ppv":
                    width *= (15, 15, 9, 5)[block // 2]
                by_map[channel, view, block, statistic] = rows[:, start : start + width]
                start += width
        assert start == rows.shape[1]
    pools = ["auto", "ppv", ("max",), ("ppv", "mean"), STATISTICS]
    for pool, layers, views in itertools.product(
        pools, ["auto", "last", "all", "blocks"], ["auto", "shape", ("change", "level")]
    ):
        spec = resolved(pooling=pool, layers=layers, views=views)
        taken = {"last": [7], "all": [1, 3, 5, 7], "blocks": range(8)}[spec.layers]
        expected = [
            by_map[key] for key in itertools.product((0, 1), spec.views, taken, spec.statistics)
        ]
        embedder.set_params(pooling=pool, layers=layers, views=views)
        np.testing.assert_array_equal(embedder.transform(X), np.concatenate(expected, axis=1))
        assert len(embedder.get_feature_names_out()) == sum(part.shape[1] for part in expected)


# Other encoders


@pytest.mark.parametrize(
    "params",
    [
        {"encoder": dilated},
        {"encoder": Staged},
        {"objective": "ts2vec", "stride": 1},
        {"objective": "timedrl"},
    ],
    ids=["callable", "with stages", "ts2vec", "timedrl"],
)
def test_encoders_that_are_not_feis_have_their_mean(params):
    X = walks()
    embedder = rich(**params).fit(X)
    features = embedder.transform(X)
    np.testing.assert_array_equal(embedder.set_params(pooling="mean").transform(X), features)
    width = 12 if "encoder" in params else 16
    assert features.shape == (20, 2 * width) == (20, len(embedder.get_feature_names_out()))


@pytest.mark.parametrize(
    "params", [{"encoder": dilated}, {"objective": "timedrl"}], ids=["own", "timedrl"]
)
def test_proportions_of_an_encoder_without_stages(params):
    X = walks()
    shares = rich(**params).set_params(pooling="ppv", views=("level", "change")).fit_transform(X)
    width = 12 if "encoder" in params else 16
    assert shares.shape == (20, 2 * 2 * 5 * width)
    # on the panel whose quantiles they are, channels together
    by_bias = shares.reshape(20, 2, 2, 5, width).mean(axis=(0, 1))
    expected = np.broadcast_to(1 - np.array(BIAS_QUANTILES)[::2, np.newaxis], by_bias.shape)
    np.testing.assert_allclose(by_bias, expected, atol=0.06)


@pytest.mark.parametrize("layers", ["last", "all"])
def test_proportions_of_a_users_stages(layers):
    X = walks()
    embedder = quick(encoder=Staged, pooling=("mean", "ppv"), layers=layers).fit(X)
    n_features = 2 * (6 * 12 + {"last": 0, "all": 10 * 6}[layers])
    assert embedder.transform(X).shape == (20, n_features)
    assert len(embedder.get_feature_names_out()) == n_features


def test_layers_that_an_encoder_lacks_are_refused():
    for encoder, layers in ((dilated, "all"), (dilated, "blocks"), (Staged, "blocks")):
        message = f"layers='{layers}' needs an encoder .* use layers='last'"
        with pytest.raises(ValueError, match=message):
            quick(encoder=encoder, layers=layers).fit(walks())
        embedder = quick(encoder=encoder, max_epochs=0).fit(walks())
        with pytest.raises(ValueError, match=message):
            embedder.set_params(layers=layers).transform(walks())


def test_the_default_readout_is_the_papers():
    encoder = FEIEncoder(2, 16).eval()
    x = torch.from_numpy(walks(3).astype(np.float32))
    with torch.no_grad():
        torch.testing.assert_close(pooling.Readout(encoder)(x), encoder(x).mean(dim=-1))
