"""Fitted embedders of all kinds, with what their copies must give."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from quick import CONFIGURATIONS, dilated, quick, walks
from torch import nn


class Scaled(nn.Module):
    """An encoder with a weight that has no dimensions."""

    def __init__(self, n_channels):
        super().__init__()
        self.conv = nn.Conv1d(n_channels, 12, 3)
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        return self.scale * self.conv(x)


def ragged_walks():
    return [series[:, : 30 - i % 9] for i, series in enumerate(walks())]


def wide_frame():
    columns = [f"t{i}" for i in range(30)]
    return pd.DataFrame(walks()[:, 0], columns=columns)


#: Kinds of embedders: parameters, and a function that returns the panel for fit and transform.
KINDS = {name: (params, walks) for name, params in CONFIGURATIONS.items()} | {
    "frame": ({}, wide_frame),
    "ragged": ({"channels": "mix", "scaling": "series"}, ragged_walks),
    "own-encoder": ({"encoder": dilated}, walks),
    "scalar-weight": ({"encoder": Scaled, "learning_rate": 0.1}, walks),
    "untrained": ({"max_epochs": 0, "stride": 1, "pretrained": None}, walks),
    "unscaled": ({"scaling": None, "mask_ratio": 0.5, "pooling": ["mean", "std"]}, walks),
}


class Model:
    """A fitted embedder, a panel, and its embeddings."""

    def __init__(self, params, panel):
        self.panel = panel()
        self.embedder = quick(**params).fit(self.panel)
        self.embeddings = self.embedder.transform(self.panel)
        self.encoder = params["encoder"] if callable(params.get("encoder")) else None

    def check(self, copied):
        """Check that another embedder gives the same embeddings and names of features."""
        assert copied is not self.embedder
        np.testing.assert_array_equal(copied.transform(self.panel), self.embeddings)
        names = self.embedder.get_feature_names_out()
        assert list(copied.get_feature_names_out()) == list(names)
