"""What is in the picture of embeddings."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from quick import oscillations, quick
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fei_sklearn.displays import EmbeddingDisplay

X, FREQUENCY = oscillations()


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def embedder():
    return quick().fit(X)


def test_points_are_principal_axes_by_label(embedder):
    display = EmbeddingDisplay.from_estimator(embedder, X, FREQUENCY)
    standardised = StandardScaler().fit_transform(embedder.transform(X).astype(float))
    expected = PCA(2, random_state=0).fit_transform(standardised)
    np.testing.assert_allclose(display.places, expected, atol=1e-6)
    groups = display.ax_.collections
    assert [group.get_label() for group in groups] == ["2.0", "8.0"]
    np.testing.assert_array_equal(groups[1].get_offsets(), display.places[FREQUENCY == 8])
    assert display.ax_.get_xlabel() == "first principal axis"


def test_labels_differ_without_colour(embedder):
    display = EmbeddingDisplay.from_estimator(embedder, X, FREQUENCY)
    first, second = (group.get_paths()[0].vertices for group in display.ax_.collections)
    assert first.shape != second.shape or not np.allclose(first, second)


def test_without_labels_there_is_one_group(embedder):
    display = EmbeddingDisplay.from_estimator(embedder, X)
    (group,) = display.ax_.collections
    assert len(group.get_offsets()) == len(X)
    assert display.ax_.get_legend() is None


def test_t_sne_of_few_series(embedder):
    display = EmbeddingDisplay.from_estimator(embedder, X[:6], method="tsne")
    assert display.places.shape == (6, 2)
    assert display.ax_.get_ylabel() == "second axis of tsne"


@pytest.mark.parametrize("container", ["default", "pandas", "polars"])
def test_pipelines_and_frames(container):
    pipeline = make_pipeline(quick(), StandardScaler()).set_output(transform=container).fit(X)
    _, ax = plt.subplots()
    display = EmbeddingDisplay.from_estimator(pipeline, X, FREQUENCY.astype(str), ax=ax)
    assert display.ax_ is ax


def test_what_is_wrong_is_named(embedder):
    with pytest.raises(ValueError, match=r"method must be one of .*'tsne'.*got 'mds'"):
        EmbeddingDisplay.from_estimator(embedder, X, method="mds")
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        EmbeddingDisplay.from_estimator(embedder, X, FREQUENCY[:-1])
    with pytest.raises(ValueError, match="X has 2 series: give at least 3"):
        EmbeddingDisplay.from_estimator(embedder, X[:2])
