"""sktime's reductions with a ridge head, on lags or on embeddings of the windows."""

from __future__ import annotations

from functools import cache

import numpy as np
from heads import ridge_regressor
from sklearn.pipeline import make_pipeline
from sktime.forecasting.compose import TransformedTargetForecaster, make_reduction
from sktime.transformations.series.difference import Differencer

from fei_sklearn import FEIEmbedder

EPOCHS = 5


def small_embedder(seed: int | None = None) -> FEIEmbedder:
    """Return the unfitted embedder of all forecasting benchmarks."""
    return FEIEmbedder("tiny", pooling="mean", max_epochs=EPOCHS, random_state=seed)


@cache
def pretrained_on_series(values: tuple[float, ...], length: int, seed: int) -> FEIEmbedder:
    """Return an encoder that is pretrained on the windows of one series."""
    windows = np.lib.stride_tricks.sliding_window_view(np.array(values), length)
    return small_embedder(seed).fit(windows)


def reduction(
    strategy: str, season: int, length: int, embedder=None
) -> TransformedTargetForecaster:
    """Return sktime's reduction of (seasonal) differences, of lags if there is no embedder."""
    regressor = ridge_regressor()
    if embedder is not None:
        regressor = make_pipeline(embedder, regressor)
    reduced = make_reduction(
        regressor, window_length=length, strategy=strategy, scitype="tabular-regressor"
    )
    steps = [("difference", Differencer(season)), ("reduced", reduced)]
    return TransformedTargetForecaster(steps)
