"""Warning of a collapse: given where embeddings are equal, and nowhere else."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from quick import quick
from torch import nn

from fei_sklearn import CollapseWarning

X = np.random.default_rng(0).normal(size=(20, 2, 24))


class Blind(nn.Module):
    """An encoder whose output does not depend on its input."""

    def __init__(self, n_channels):
        super().__init__()
        self.first = nn.Conv1d(n_channels, 8, 3)

    def forward(self, x):
        return self.first(torch.zeros_like(x))


@pytest.mark.parametrize("max_epochs", [0, 2])
def test_collapse_is_warned_of(max_epochs):
    with pytest.warns(CollapseWarning, match=r"learning_rate.*mask_ratio"):
        quick(encoder=Blind, max_epochs=max_epochs).fit(X)


@pytest.mark.parametrize(
    "panel",
    [X, X[:1], np.repeat(X[:1], 20, axis=0), np.full_like(X, np.nan), X + 100.0],
    ids=["healthy", "one series", "identical series", "nothing", "offset"],
)
@pytest.mark.parametrize("scaling", ["series", "channel", None])
def test_there_is_no_false_alarm(scaling, panel):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick(scaling=scaling).fit(panel)
