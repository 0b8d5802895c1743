"""Embeddings of a fitted embedder: names of features, the encoder, arguments, plain arrays."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
import torch
from quick import assert_close, dilated, quick, walks
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from fei_sklearn import FEIEmbedder
from fei_sklearn._transform import plain_embeddings

X = np.random.default_rng(0).normal(size=(20, 2, 24))


# Names of features


def test_features_of_the_front_have_names(front):
    embedder, panel = front
    names = list(embedder.get_feature_names_out())
    features = embedder.transform(panel)
    assert len(set(names)) == len(names) == features.shape[1]
    assert (names[0], names[-1]) == ("level_max_0", "sum_peaks_95")
    frame = embedder.set_output(transform="pandas").transform(panel)
    embedder.set_output(transform="default")
    counts = frame.filter(like="change_wins").pow(2).sum(axis=1)  # roots of shares
    assert counts.between(0.0, 12.0).all()  # one winner in each of twelve groups, or none


@pytest.mark.parametrize(
    ("params", "n_channels", "ends"),
    [
        ({"n_components": 6}, 1, ("axis_0", "axis_5")),
        ({"n_components": 6}, 2, ("channel0_axis_0", "channel1_axis_5")),
        ({"pooling": "small"}, 2, ("channel0_level_max_0", "channel1_sum_peaks_47")),
        ({"pooling": "mean"}, 1, ("feiembedder0", "feiembedder127")),
    ],
)
def test_names_follow_the_readout(front, params, n_channels, ends, tmp_path):
    embedder, _ = front
    embedder.save(tmp_path)
    panel = np.random.default_rng(1).normal(size=(9, n_channels, 40))
    start = FEIEmbedder(pretrained=tmp_path, **{"pooling": "auto"} | params).fit(panel)
    names = start.get_feature_names_out()
    assert (names[0], names[-1]) == ends
    assert len(names) == start.transform(panel).shape[1]


# The encoder


@pytest.mark.parametrize(
    "params",
    [{}, {"encoder": dilated}, {"encoder": 8, "stride": 1}],
    ids=["default", "of the user", "stride"],
)
def test_the_encoder_is_a_module_of_its_own_in_evaluation_mode(params):
    embedder = quick(scaling=None, channels="mix", **params).fit(X)
    expected = embedder.transform(X)
    encoder = embedder.encoder_
    assert isinstance(encoder, nn.Module)
    assert not any(module.training for module in encoder.modules())
    with torch.no_grad():
        pooled = encoder(torch.from_numpy(X.astype(np.float32))).mean(dim=-1)
        assert_close(pooled, expected)
        for parameter in encoder.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(embedder.transform(X), expected)


def test_channels_of_their_own_share_one_encoder():
    embedder = quick(scaling=None, channels="independent").fit(X)
    with torch.no_grad():
        maps = embedder.encoder_(torch.from_numpy(X.astype(np.float32)).reshape(40, 1, 24))
    expected = maps.mean(dim=-1).reshape(20, 32)
    assert_close(embedder.transform(X), expected)


# Arguments


@pytest.mark.parametrize("bad", ["a", 2.5, None, True])
def test_arguments_that_count_are_integers(bad):
    embedder = quick(max_epochs=0).fit(walks())
    for call in (
        lambda: embedder.transform_sliding(walks(), window_length=bad),
        lambda: embedder.transform_sliding(walks(), window_length=10, step=bad),
        lambda: embedder.step_positions(bad),
    ):
        with pytest.raises(TypeError, match=f"must be an integer, got {bad!r}"):
            call()
    if bad is not None:
        with pytest.raises(TypeError, match="n_rows must be an integer"):
            embedder.transform_chunks(walks(), n_rows=bad)


@pytest.mark.parametrize("n_timepoints", [1, 0, -3])
def test_positions_of_series_that_are_too_short_are_refused(n_timepoints):
    embedder = quick(max_epochs=0, pooling=None).fit(walks())
    with pytest.raises(ValueError, match=f"n_timepoints must be at least 2, got {n_timepoints}"):
        embedder.step_positions(n_timepoints)


# Plain arrays


def test_plain_embeddings_are_arrays_whatever_is_configured():
    embedder = quick(max_epochs=0).fit(X)
    expected = embedder.transform(X)
    embedder.set_output(transform="pandas")
    with sklearn.config_context(transform_output="pandas"):
        for transformer in (embedder, FrozenEstimator(embedder)):
            plain = plain_embeddings(transformer, X)
            assert type(plain) is np.ndarray
            np.testing.assert_array_equal(plain, expected)


def test_other_transformers_have_plain_embeddings():
    last = FunctionTransformer(lambda series: series[:, :, -1])
    np.testing.assert_array_equal(plain_embeddings(last, X), X[:, :, -1])


# Containers and lengths that do not fit


@pytest.mark.parametrize("container", ["pandas", "polars"])
@pytest.mark.parametrize("pooling", ["mean", None])
def test_an_array_for_the_result_is_returned_as_it_is(container, pooling):
    embedder = quick(pooling=pooling).fit(X)
    expected = embedder.transform(X)
    out = np.zeros_like(expected)
    with sklearn.config_context(transform_output=container):
        assert embedder.transform(X, out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_an_array_on_disk_is_returned_as_it_is(tmp_path):
    zarr = pytest.importorskip("zarr")
    embedder = quick().set_output(transform="pandas").fit(X)
    expected = embedder.transform(X).to_numpy()
    out = zarr.create_array(tmp_path / "z", shape=expected.shape, dtype="float32")
    assert embedder.transform(X, out=out) is out
    np.testing.assert_array_equal(out[:], expected)


def test_windows_of_another_length_than_a_2d_panel_are_refused():
    embedder = quick().fit(X[:, 0])
    embedder.transform_sliding(walks(2, 1, 60)[:, 0], window_length=24)
    message = "window_length=10, but the embedder was fitted on a 2-D panel of 24 time points"
    with pytest.raises(ValueError, match=message):
        embedder.transform_sliding(X[:, 0], window_length=10)
