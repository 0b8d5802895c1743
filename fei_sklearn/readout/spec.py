"""Specification of a readout: the statistics and maps that make an embedding, and their numbers.

Torch-free, so that an estimator can count its features; :mod:`fei_sklearn.readout.pooling`
computes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from fei_sklearn.encoder.layout import (
    KERNELS_PER_GROUP,
    N_DILATIONS,
    N_GROUPS,
    layer_widths,
    stages_after,
)
from fei_sklearn.encoder.layout import LAYERS as LAYERS

STATISTICS = ("mean", "max", "std", "ppv")
VIEWS = ("level", "shape", "change")

#: Quantiles over a training panel at which "ppv" has its biases. MiniRocket (Dempster et al., KDD
#: 2021) uses low-discrepancy quantiles of the convolutions' outputs in the same way.
BIAS_QUANTILES: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

#: Biases for maps of the last stage, which have few steps.
LAST_STAGE_BIASES = slice(None, None, 2)

#: Biases that "ppv" also compares with in each half of a series, in stages before the last two:
#: their maps have the most steps.
HALVES_BIASES = slice(2, 7, 2)

#: Most features that "auto" chooses. For more channels or wider encoders it reads less of each.
MOST_FEATURES = 40_000


@dataclass(frozen=True)
class ReadoutSpec:
    """Statistics, layers and views that make an embedding.

    Attributes
    ----------
    statistics : tuple of {"mean", "max", "std", "ppv"}
        Statistics over time. An empty tuple stands for the last map step by step.
    layers : {"last", "all", "blocks"}
        The last stage, all stages, or both blocks of all stages.
    views : tuple of {"level", "shape", "change"}
        The series as scaled, each series standardised, its first differences standardised.
    """

    statistics: tuple[str, ...] = ("mean",)
    layers: str = "last"
    views: tuple[str, ...] = ("level",)

    def n_features(self, stage_widths: Sequence[int]) -> int:
        """Return the number of features of one series through an encoder of these widths."""
        widths = layer_widths(stage_widths, self.layers)
        stages_later = stages_after(self.layers, len(widths))
        n_of_view = 0
        for width, n_later in zip(widths, stages_later, strict=True):
            n_of_view += width * self._n_per_channel(n_later)
        return n_of_view * len(self.views)

    def _n_per_channel(self, n_later: int) -> int:
        """Return the features per channel of a map, given how many stages follow its stage."""
        if not self.statistics:
            return 1
        n_plain = sum(statistic != "ppv" for statistic in self.statistics)
        if "ppv" in self.statistics:
            return n_plain + n_shares(n_later)
        return n_plain


#: Readouts that "auto" chooses from, the richest first; docs/benchmarks/body_readout.md has scores.
LADDER = (
    ReadoutSpec(("mean", "max", "ppv"), "blocks", VIEWS),
    ReadoutSpec(("mean", "max", "ppv"), "all", ("level", "change")),
    ReadoutSpec(("mean", "max", "std"), "all", ("level",)),
)


def n_shares(n_later: int) -> int:
    """Return the number of "ppv" features per channel, given how many stages follow."""
    if n_later == 0:
        return len(BIAS_QUANTILES[LAST_STAGE_BIASES])
    n_of_whole = len(BIAS_QUANTILES)
    if n_later == 1:
        return n_of_whole
    n_of_half = len(BIAS_QUANTILES[HALVES_BIASES])
    return n_of_whole + 2 * n_of_half


def resolve(
    pooling: str | Sequence[str] | None,
    layers: str,
    views: str | Sequence[str],
    *,
    stage_widths: Sequence[int],
    n_encoded: int = 1,
) -> ReadoutSpec:
    """Replace "auto" by a choice, and single names by tuples.

    Parameters
    ----------
    pooling, layers, views : str, sequence of str or None
        Parameters of `FEIEmbedder`.
    stage_widths : sequence of int
        Features of the encoder's maps; an encoder without stages has a single one.
    n_encoded : int, default=1
        Channels that are encoded one by one.

    Returns
    -------
    ReadoutSpec
        With ``pooling="auto"`` the richest of :data:`LADDER` that has at most
        :data:`MOST_FEATURES` features, else the leanest, which is ``pooling="small"``; for an
        encoder without stages, the mean.
        With any other `pooling`, "auto" stands for the last layer and the series as scaled.

    Raises
    ------
    ValueError
        If a name is unknown or given twice, or if there is none at all.
    """
    chosen = ReadoutSpec()
    if pooling == "auto" and len(stage_widths) > 1:
        chosen = _richest_that_fits(stage_widths, n_encoded)
    if pooling == "small" and len(stage_widths) > 1:
        chosen = LADDER[-1]
    statistics = chosen.statistics
    if pooling not in ("auto", "small"):
        statistics = _names("pooling", pooling, STATISTICS)
    if layers == "auto":
        layers = chosen.layers
    view_names = chosen.views
    if views != "auto":
        view_names = _names("views", views, VIEWS)
    return ReadoutSpec(statistics, layers, view_names)


def _richest_that_fits(
    stage_widths: Sequence[int],
    n_encoded: int,
) -> ReadoutSpec:
    for spec in LADDER:
        if n_encoded * spec.n_features(stage_widths) <= MOST_FEATURES:
            return spec
    return LADDER[-1]


def _names(
    parameter: str,
    given: str | Sequence[str] | None,
    known: tuple[str, ...],
) -> tuple[str, ...]:
    """Return a parameter's names as a tuple, or raise a ValueError."""
    if given is None:
        return ()
    names = (given,) if isinstance(given, str) else tuple(given)
    are_known = all(name in known for name in names)
    are_different = len(set(names)) == len(names)
    if not names or not are_known or not are_different:
        choices = ", ".join(map(repr, known))
        raise ValueError(
            f"{parameter} must be one of {choices} or a tuple of different ones, got {given!r}."
        )
    return names


#: Views that the readout of a dilated front end can take.
FRONT_VIEWS = ("level", "shape", "change", "halved", "sum")

#: Quantiles over a training panel at which "ppv" of the front end has its thresholds.
FRONT_QUANTILES: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8)

#: Statistics of the front end, and the features that each has per kernel.
FRONT_STATISTICS = {"max": 1, "ppv": len(FRONT_QUANTILES), "wins": 1, "peaks": 1}

#: Half-width of the band around zero in which no kernel wins a step, in units of the training
#: panel's deviation. On flat stretches rounding would choose the winner.
FLAT_BAND = 0.1


class FeatureGroup(NamedTuple):
    """Features of one statistic of one view.

    Attributes
    ----------
    view, statistic : str
        Names of the view and of the statistic.
    columns : slice
        Columns of the features in an embedding of one channel.
    """

    view: str
    statistic: str
    columns: slice


@dataclass(frozen=True)
class FrontSpec:
    """Views and kernels of a dilated front end that make an embedding.

    Attributes
    ----------
    views : tuple of {"level", "shape", "change", "halved", "sum"}
        The series as scaled; each series standardised; and, standardised too, its first
        differences, the means of pairs of time points, and the running sum of the shape.
    n_groups : {1, 2}
        Groups of eight kernels that are read of each dilation.
    """

    views: tuple[str, ...] = ("level", "change", "halved", "sum")
    n_groups: int = N_GROUPS

    @property
    def n_kernels(self) -> int:
        """Number of kernels that are read, of all dilations."""
        return N_DILATIONS * self.n_groups * KERNELS_PER_GROUP

    @property
    def n_features_per_view(self) -> int:
        """Number of features of one view of a univariate series."""
        return self.n_kernels * sum(FRONT_STATISTICS.values())

    @property
    def n_features(self) -> int:
        """Number of features of a univariate series."""
        return len(self.views) * self.n_features_per_view

    def feature_groups(self) -> list[FeatureGroup]:
        """Return the groups of features, in the order of their columns."""
        groups = []
        start = 0
        for view in self.views:
            for statistic, n_per_kernel in FRONT_STATISTICS.items():
                stop = start + n_per_kernel * self.n_kernels
                groups.append(FeatureGroup(view, statistic, slice(start, stop)))
                start = stop
        return groups


#: Most features of the front that "auto" chooses for all channels.
MOST_FRONT_FEATURES = 4_000


def resolve_front(
    pooling: str,
    views: str | Sequence[str],
    *,
    n_encoded: int = 1,
) -> FrontSpec:
    """Return the readout of an encoder with a front end.

    Parameters
    ----------
    pooling : {"auto", "small"}
        The default, or the small form.
    views : str or sequence of str
        Views; "auto" stands for those that measured best.
    n_encoded : int, default=1
        Channels that are encoded one by one.

    Returns
    -------
    FrontSpec
        With ``pooling="auto"`` both groups of kernels, but only the first where both would give
        more than :data:`MOST_FRONT_FEATURES` features.

    Raises
    ------
    ValueError
        If the name of a view is unknown or given twice, or if there is none at all.
    """
    chosen = FrontSpec()
    if views != "auto":
        chosen = replace(chosen, views=_names("views", views, FRONT_VIEWS))
    small = replace(chosen, n_groups=1)
    if pooling == "small" or n_encoded * chosen.n_features > MOST_FRONT_FEATURES:
        return small
    return chosen
