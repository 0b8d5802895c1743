"""Maps of any encoder: FEI's own, one with stages, and a plain torch module."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fei_sklearn.encoder.maps import (
    BlockEncoder,
    BlockMaps,
    check_has_layers,
    feature_maps,
    has_blocks,
    has_stages,
    has_step_positions,
    layer_maps,
    map_widths,
    richest_layers,
    rows_by_length,
    stated_widths,
)
from fei_sklearn.encoder.resnet import FEIEncoder


def noise(*shape):
    values = np.random.default_rng(0).normal(size=shape)
    return torch.from_numpy(values.astype(np.float32))


class Plain(nn.Module):
    """A module that only maps series, with layers named as the methods of other encoders."""

    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList([nn.Conv1d(1, 6, 3, padding=1), nn.Conv1d(6, 4, 3)])
        self.block_maps = nn.ModuleList()

    def forward(self, x):
        for stage in self.stages:
            x = stage(x).relu()
        return x


class Staged(nn.Module):
    """A module that returns the maps of two stages."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(1, 6, 3, padding=1)
        self.second = nn.Conv1d(6, 12, 3, padding=1)

    def stages(self, x, lengths=None):
        first = self.first(x)
        return [(first, lengths), (self.second(first), lengths)]

    def forward(self, x):
        return self.stages(x)[-1][0]


class Doubling(BlockEncoder):
    """An encoder of two stages whose blocks double the series."""

    stage_widths = [1, 1]

    def block_maps(self, x, lengths=None):
        maps = []
        for _ in range(4):
            x = 2 * x
            maps.append(BlockMaps(x, -x, lengths))
        return maps


@pytest.mark.parametrize(
    ("encoder", "layers"),
    [(FEIEncoder(1, 8), "blocks"), (Doubling(), "blocks"), (Staged(), "all"), (Plain(), "last")],
    ids=["fei", "blocks", "stages", "plain"],
)
def test_layers_that_an_encoder_has(encoder, layers):
    assert richest_layers(encoder) == layers
    assert has_blocks(encoder) == (layers == "blocks")
    assert has_stages(encoder) == (layers != "last")
    assert has_step_positions(encoder) == isinstance(encoder, FEIEncoder)
    offered = {"last": ["last"], "all": ["last", "all"], "blocks": ["last", "all", "blocks"]}
    for wanted in ("last", "all", "blocks"):
        if wanted in offered[layers]:
            check_has_layers(encoder, wanted)
            continue
        with pytest.raises(ValueError, match=f"layers='{wanted}' needs an encoder .* has none"):
            check_has_layers(encoder, wanted)
        with pytest.raises(ValueError, match=f"layers='{wanted}' needs an encoder .* has none"):
            layer_maps(encoder, noise(2, 1, 9), None, wanted)


def test_the_base_derives_stages_and_the_last_map_from_the_blocks():
    encoder = Doubling()
    x = noise(2, 1, 9)
    lengths = torch.tensor([9, 4])
    stages = encoder.stages(x, lengths)
    for (maps, n_steps), factor in zip(stages, (4, 16), strict=True):
        assert torch.equal(maps, factor * x)
        assert n_steps is lengths
    assert torch.equal(encoder(x), 16 * x)


@pytest.mark.parametrize(
    ("layers", "factors"), [("last", [16]), ("all", [4, 16]), ("blocks", [2, 4, 8, 16])]
)
def test_maps_of_layers_are_those_of_their_blocks(layers, factors):
    x = noise(2, 1, 9)
    maps = layer_maps(Doubling(), x, None, layers)
    for of_layer, factor in zip(maps, factors, strict=True):
        assert torch.equal(of_layer.activated, factor * x)
        assert torch.equal(of_layer.summed, -factor * x)


@pytest.mark.parametrize("layers", ["last", "all"])
def test_without_blocks_the_maps_stand_for_the_sums(layers):
    encoder = Staged()
    x = noise(2, 1, 9)
    expected = feature_maps(encoder, x, all_stages=layers == "all")
    for of_layer, (maps, _) in zip(layer_maps(encoder, x, None, layers), expected, strict=True):
        assert torch.equal(of_layer.activated, maps)
        assert torch.equal(of_layer.summed, maps)


def test_all_stages_of_an_encoder_that_has_none_are_refused():
    with pytest.raises(ValueError, match=r"layers='all' needs an encoder with a method stages"):
        feature_maps(Plain(), noise(2, 1, 9), all_stages=True)


def test_no_padding_reaches_a_plain_module():
    own = nn.Conv1d(1, 4, 3, padding=1, bias=True).double()
    lengths = [6, 9, 6]
    x = noise(3, 1, 9).double()
    with torch.no_grad():
        maps, n_steps = feature_maps(own, x, torch.tensor(lengths))[-1]
        for i, length in enumerate(lengths):
            alone = own(x[i : i + 1, :, :length])[0]
            torch.testing.assert_close(maps[i, :, :length], alone)
    assert n_steps is not None
    assert n_steps.tolist() == lengths


@pytest.mark.parametrize(
    ("encoder", "widths"),
    [(FEIEncoder(1, 8), (1, 2, 4, 8)), (Staged(), (6, 12)), (Plain(), (4,))],
    ids=["fei", "stages", "plain"],
)
@pytest.mark.parametrize("training", [False, True])
def test_widths_are_those_of_the_maps(encoder, widths, training):
    encoder.train(training)
    assert map_widths(encoder, 1, 9) == widths
    assert encoder.training == training
    assert stated_widths(encoder) == (widths if isinstance(encoder, FEIEncoder) else None)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (nn.Flatten(), r"for \(2, 1, 9\) it gave \(2, 9\)"),
        (nn.AdaptiveMaxPool1d(3, return_indices=True), "it gave tuple"),
        (nn.Conv1d(1, 3, 3), "width of at least 4, Conv1d has 3"),
    ],
)
def test_a_module_that_gives_no_map_is_refused(encoder, message):
    with pytest.raises(ValueError, match=message):
        map_widths(encoder, 1, 9)


def test_rows_by_length_are_all_rows_once():
    found = dict(rows_by_length(torch.tensor([7, 3, 7, 5])))
    assert list(found) == [3, 5, 7]
    assert [rows.tolist() for rows in found.values()] == [[1], [3], [0, 2]]
