"""Layers by name: which blocks they are, their widths, and how many stages follow."""

from __future__ import annotations

import pytest
from quick import run_python

from fei_sklearn.encoder.layout import layer_widths, select_layers, stages_after

BLOCKS = ("1a", "1b", "2a", "2b", "3a", "3b", "4a", "4b")


@pytest.mark.parametrize(
    ("layers", "expected"),
    [("last", ("4b",)), ("all", ("1b", "2b", "3b", "4b")), ("blocks", BLOCKS)],
)
def test_the_map_of_a_stage_is_that_of_its_last_block(layers, expected):
    assert select_layers(BLOCKS, layers) == expected


@pytest.mark.parametrize(
    ("layers", "expected"),
    [("last", (8,)), ("all", (1, 2, 4, 8)), ("blocks", (1, 1, 2, 2, 4, 4, 8, 8))],
)
def test_both_blocks_of_a_stage_are_as_wide(layers, expected):
    assert layer_widths([1, 2, 4, 8], layers) == expected
    assert layer_widths([8], layers) == expected[-1:] * (2 if layers == "blocks" else 1)


@pytest.mark.parametrize(
    ("layers", "n_maps", "expected"),
    [
        ("last", 1, (0,)),
        ("all", 4, (3, 2, 1, 0)),
        ("blocks", 8, (3, 3, 2, 2, 1, 1, 0, 0)),
    ],
)
def test_stages_that_follow(layers, n_maps, expected):
    assert stages_after(layers, n_maps) == expected


def test_it_needs_no_torch():
    code = "import sys, fei_sklearn.encoder.layout; print('torch' in sys.modules)"
    assert run_python(code) == "False\n"
