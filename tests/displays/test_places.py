"""Places of embeddings in two dimensions, and how groups of them are drawn."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from fei_sklearn.displays._places import axis_name, in_two_dimensions, scatter


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def test_principal_axes_come_from_standardised_numbers():
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(40, 2))
    embeddings = np.column_stack([1000 * plane[:, 0], plane[:, 1], np.ones(40)])
    places = in_two_dimensions(embeddings)
    # on one scale both numbers count alike, whatever their units are
    assert np.ptp(places[:, 1]) > 0.3 * np.ptp(places[:, 0])


def test_umap_is_used_where_it_is_installed(monkeypatch):
    class UMAP:
        def __init__(self, random_state):
            self.random_state = random_state

        def fit_transform(self, X):
            return np.full((len(X), 2), self.random_state)

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=UMAP))
    np.testing.assert_array_equal(in_two_dimensions(np.eye(5), "umap", 7), np.full((5, 2), 7))
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match="needs the package umap-learn"):
        in_two_dimensions(np.eye(5), "umap")


def test_groups_keep_their_places_and_differ_in_markers():
    groups = {"a": np.zeros((3, 2)), "b": np.ones((2, 2))}
    axes = scatter(groups.items(), axis_name("tsne"), None)
    assert [group.get_label() for group in axes.collections] == ["a", "b"]
    for group, places in zip(axes.collections, groups.values(), strict=True):
        np.testing.assert_array_equal(group.get_offsets(), places)
    first, second = (group.get_paths()[0].vertices for group in axes.collections)
    assert first.shape != second.shape
    assert axes.get_xlabel() == "first axis of tsne"
