"""What is in the picture of inferences."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from quick import quick, walks
from sklearn.exceptions import NotFittedError

from fei_sklearn.displays import InferenceDisplay


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def streamed(X, n_epochs=2, **params):
    """Return an embedder that was trained on one panel by `partial_fit`."""
    embedder = quick(**params)
    for _ in range(n_epochs):
        embedder.partial_fit(X)
    return embedder


@pytest.fixture(scope="module")
def embedder():
    return streamed(walks(40))


def test_three_groups_of_all_channels(embedder):
    display = InferenceDisplay.from_estimator(embedder, walks(8, seed=1))
    assert display.places.shape == (3, 16, 2)
    groups = display.ax_.collections
    assert [group.get_label() for group in groups] == ["series", "target series", "inferred"]
    for group, places in zip(groups, display.places, strict=True):
        np.testing.assert_array_equal(group.get_offsets(), places)
    markers = [group.get_paths()[0].vertices.shape for group in groups]
    assert len(set(markers)) > 1


def test_inferences_of_a_trained_model_have_the_offset_of_the_targets():
    X = walks(96, 1)
    trained = streamed(X[:64], 20, min_epoch_steps=10, mask_ratio=(0.5, 0.9))
    series, target, inferred = InferenceDisplay.from_estimator(trained, X[64:]).places
    distance = np.linalg.norm(inferred - target, axis=1).mean()
    assert distance < np.linalg.norm(series - target, axis=1).mean()


@pytest.mark.parametrize("params", [{"channels": "mix"}, {"encoder": "dilated"}])
def test_other_encoders_and_unequal_lengths(params):
    X = [series[:, : 20 + i] for i, series in enumerate(walks(10))]
    embedder = streamed(X, **params)
    display = InferenceDisplay.from_estimator(embedder, X)
    assert np.isfinite(display.places).all()


def test_what_is_wrong_is_named(embedder):
    with pytest.raises(NotFittedError):
        InferenceDisplay.from_estimator(quick(), walks())
    with pytest.raises(ValueError, match=r"no momentum copies, .* train it by partial_fit\(X\)"):
        InferenceDisplay.from_estimator(quick().fit(walks()), walks())
    rival = quick(objective="simmtm", max_epochs=1).fit(walks())
    with pytest.raises(ValueError, match="trained by 'simmtm', which infers no target"):
        InferenceDisplay.from_estimator(rival, walks())
    with pytest.raises(ValueError, match=r"3 (channels|features)"):
        InferenceDisplay.from_estimator(embedder, walks(n_channels=3))
