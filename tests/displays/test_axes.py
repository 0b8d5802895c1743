"""Axes of displays: the user's, or new ones."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import pytest

from fei_sklearn.displays._axes import own_axes, pyplot, stacked_axes


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def test_the_users_axes_are_taken():
    figure, axes = plt.subplots(2)
    assert own_axes(axes[0]) is axes[0]
    assert stacked_axes(axes, 2, height=1) == list(axes)
    with pytest.raises(ValueError, match="axes must be 3 axes, one above the other, got 2"):
        stacked_axes(axes, 3, height=1)
    assert plt.get_fignums() == [figure.number]


def test_new_axes_are_in_a_figure_of_their_own():
    single = own_axes(None)
    stack = stacked_axes(None, 3, height=2)
    assert single.figure is not stack[0].figure
    assert len(stack) == 3
    assert stack[0].figure.get_size_inches()[1] == 6


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"Displays need matplotlib.*fei-sklearn\[plot\]"):
        pyplot()
