"""What is in the picture of a pretraining."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from fine_tuners import LABELS, X, classifier
from quick import quick, walks
from sklearn.exceptions import NotFittedError

from fei_sklearn.displays import PretrainingDisplay


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def embedder():
    return quick(max_epochs=3, n_iter_no_change=None).fit(walks(40))


def lines_of(axes):
    return {line.get_label(): line.get_data() for line in axes.lines}


def test_lines_are_those_of_the_history(embedder):
    display = PretrainingDisplay.from_estimator(embedder)
    losses, learning_rate, momentum = display.axes_
    history = embedder.history_
    lines = lines_of(losses)
    epochs, values = lines["embedding loss"]
    np.testing.assert_array_equal(epochs, [1, 2, 3])
    np.testing.assert_array_equal(values, [record["train_embedding_loss"] for record in history])
    _, values = lines["embedding loss, validation"]
    np.testing.assert_array_equal(values, [record["valid_embedding_loss"] for record in history])
    for axes, name in ((learning_rate, "learning_rate"), (momentum, "momentum")):
        np.testing.assert_array_equal(
            axes.lines[0].get_ydata(), [record[name] for record in history]
        )
        assert axes.get_ylabel() == name.replace("_", " ")
    assert display.axes_[-1].get_xlabel() == "epoch"
    assert lines["weights kept"][0] == [embedder.best_epoch_] * 2


def test_training_and_validation_differ_without_colour(embedder):
    losses = PretrainingDisplay.from_estimator(embedder).axes_[0]
    markers = {line.get_label(): line.get_marker() for line in losses.lines}
    assert markers["embedding loss"] != markers["embedding loss, validation"]
    styles = [line.get_linestyle() for line in losses.lines if line.get_marker() == "."]
    assert len(set(styles)) == len(styles)


def test_a_fine_tuning_has_a_picture_too():
    display = PretrainingDisplay.from_estimator(classifier().fit(X, LABELS))
    assert display.axes_[0].lines[0].get_xdata().tolist() == [1, 2]


def test_the_users_axes(embedder):
    figure, axes = plt.subplots(3)
    display = PretrainingDisplay.from_estimator(embedder, axes=axes)
    assert display.figure_ is figure


def test_without_a_fit_or_an_epoch():
    with pytest.raises(NotFittedError):
        PretrainingDisplay.from_estimator(quick())
    with pytest.raises(ValueError, match=r"There is no epoch to draw: .* max_epochs of at least 1"):
        PretrainingDisplay.from_estimator(quick(max_epochs=0).fit(walks()))
