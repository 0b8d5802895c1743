"""Pooling: the features of an embedding, against NumPy."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
import torch
from numpy_readouts import Staged, numpys_maps, ragged, rich
from quick import dilated, quick, walks
from torch import nn

from fei_sklearn import FEIEmbedder
from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.readout.pooling import Readout
from fei_sklearn.readout.spec import (
    BIAS_QUANTILES,
    STATISTICS,
    VIEWS,
    ReadoutSpec,
    resolve,
)

NUMPY = {"mean": np.mean, "max": np.max, "std": np.std}


def resolved(**params):
    """Return the readout of two encoded channels and a narrow encoder."""
    given = {"pooling": "auto", "layers": "auto", "views": "auto"} | params
    return resolve(**given, stage_widths=(2, 4, 8, 16), n_encoded=2)


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

    readout = Readout(StagedMaps(), ReadoutSpec(("std", "mean"), "all"))
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
        torch.testing.assert_close(Readout(encoder)(x), encoder(x).mean(dim=-1))
