"""Biases of "ppv": quantiles over the panel, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy_readouts import Staged, numpys_maps, ragged, rich
from quick import assert_close, dilated, walks

from fei_sklearn._bridge.pretraining import BIAS_SAMPLE
from fei_sklearn.encoder.maps import BlockMaps
from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.readout import biases as fitting
from fei_sklearn.readout.spec import BIAS_QUANTILES, VIEWS


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
    monkeypatch.setattr(fitting, "MOST_BIAS_VALUES", 40)
    values = np.random.default_rng(0).normal(size=(5, 3, 30)).astype(np.float32)
    every_fourth = np.moveaxis(values, 1, 2).reshape(-1, 3)[::4]
    expected = np.quantile(every_fourth, BIAS_QUANTILES, axis=0)
    maps = torch.from_numpy(values)
    quantiles = fitting._quantiles(BlockMaps(maps, maps, None))
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
    selected = fitting.biases_of_layers(biases, encoder, stage_widths, layers)
    assert torch.equal(selected, biases[:, taken])


def test_biases_of_stages_are_those_of_their_last_blocks():
    biases = torch.arange(30.0)[None]
    selected = fitting.biases_of_layers(biases, FEIEncoder(1, 8), (1, 2, 4, 8), "all")
    assert selected.tolist() == [[1, 4, 5, *range(10, 14), *range(22, 30)]]
