"""Arguments that several commands share."""

from __future__ import annotations

import argparse

import pytest

from fei_sklearn.cli.arguments import add_embedder, embedder_params, split_names


def parse(text):
    parser = argparse.ArgumentParser()
    add_embedder(parser)
    return embedder_params(parser.parse_args(text.split()))


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("", {}),
        ("--encoder tiny --epochs 3", {"encoder": "tiny", "max_epochs": 3}),
        ("--encoder 24 --batch-size auto", {"encoder": 24, "batch_size": "auto"}),
        ("--batch-size 32", {"batch_size": 32}),
        ("--set mask_ratio=0.0,0.5", {"mask_ratio": (0.0, 0.5)}),
        ("--set pooling=mean,max", {"pooling": ("mean", "max")}),
        ("--set scaling=None", {"scaling": None}),
        ("--encoder tiny --set encoder=big", {"encoder": "big"}),
        ("--set stride=1 --set stride=2", {"stride": 2}),
    ],
)
def test_values_are_literals_tuples_or_text(text, params):
    assert parse(text) == params


@pytest.mark.parametrize("assignment", ["depth", "=3", "2x=3"])
def test_an_assignment_needs_a_name_and_a_value(assignment):
    with pytest.raises(ValueError, match="--set needs KEY=VALUE, got"):
        parse(f"--set {assignment}")


def test_names_between_commas():
    assert split_names("mean, max") == ["mean", "max"]
