"""Which numbers `transform` reads out of an encoder, and how many they are.

Torch-free, so that an estimator can count its features;
:mod:`fei_sklearn.readout.pooling` computes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fei_sklearn.encoder.layout import LAYERS as LAYERS
from fei_sklearn.encoder.layout import layer_widths as layer_widths
from fei_sklearn.encoder.layout import stages_after

STATISTICS = ("mean", "max", "std", "ppv")
VIEWS = ("level", "shape", "change")

#: Quantiles over a training panel at which "ppv" has its biases. MiniRocket (Dempster et al., KDD
#: 2021) takes low-discrepancy quantiles of the convolutions' outputs likewise. Maps of the last
#: stage, which have few steps, take every second of them.
BIAS_QUANTILES: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
LAST_STAGE = slice(None, None, 2)

#: Those above which "ppv" looks in each half of a series, too, in stages before the last two, whose
#: maps have the most steps.
HALVES = slice(2, 7, 2)

#: Most features that "auto" gives; of more channels or wider encoders it takes less of each.
MOST_FEATURES = 40_000


@dataclass(frozen=True)
class ReadoutSpec:
    """What is read out of an encoder.

    Attributes
    ----------
    statistics : tuple of {"mean", "max", "std", "ppv"}
        Statistics over time; none at all stands for the last map step by step.
    layers : {"last", "all", "blocks"}
        The last stage, all stages, or both blocks of all stages.
    views : tuple of {"level", "shape", "change"}
        The series as scaled, each series standardised, its first differences standardised.
    """

    statistics: tuple[str, ...] = ("mean",)
    layers: str = "last"
    views: tuple[str, ...] = ("level",)

    def n_features(self, stage_widths: Sequence[int]) -> int:
        """Features of one series through an encoder of these widths."""
        widths = layer_widths(stage_widths, self.layers)
        n_plain = sum(statistic != "ppv" for statistic in self.statistics)
        counts = [0] * len(widths)
        if "ppv" in self.statistics:
            counts = [n_shares(n) for n in stages_after(self.layers, len(widths))]
        n_view = sum(w * max(n_plain + n, 1) for w, n in zip(widths, counts, strict=True))
        return n_view * len(self.views)


#: From the richest to the leanest, what "auto" chooses from; see docs/choices.md for the scores.
LADDER = (
    ReadoutSpec(("mean", "max", "ppv"), "blocks", VIEWS),
    ReadoutSpec(("mean", "max", "ppv"), "all", ("level", "change")),
    ReadoutSpec(("mean", "max", "std"), "all", ("level",)),
)


def n_shares(n_later: int) -> int:
    """Shares that "ppv" has of a feature of a stage after which so many come."""
    if n_later == 0:
        return len(BIAS_QUANTILES[LAST_STAGE])
    return len(BIAS_QUANTILES) + (2 * len(BIAS_QUANTILES[HALVES]) if n_later > 1 else 0)


def resolve(
    pooling: str | Sequence[str] | None,
    layers: str,
    views: str | Sequence[str],
    *,
    stage_widths: Sequence[int],
    n_encoded: int = 1,
) -> ReadoutSpec:
    """Give a name to "auto", and tuples to single names.

    Parameters
    ----------
    pooling, layers, views : str, sequence of str or None
        As `FEIEmbedder` takes them.
    stage_widths : sequence of int
        Features of the encoder's maps; a single one is that of an encoder without stages.
    n_encoded : int, default=1
        Channels that are encoded one by one.

    Returns
    -------
    ReadoutSpec
        With ``pooling="auto"`` the richest of :data:`LADDER` that has at most
        :data:`MOST_FEATURES` features, else the leanest; an encoder without stages has its mean.
        With a pooling of one's own, "auto" stands for the last layer and the series as scaled.

    Raises
    ------
    ValueError
        If a name is unknown, given twice, or none is given at all.
    """
    base = ReadoutSpec()
    if pooling == "auto" and len(stage_widths) > 1:
        fits = (r for r in LADDER if n_encoded * r.n_features(stage_widths) <= MOST_FEATURES)
        base = next(fits, LADDER[-1])
    return ReadoutSpec(
        base.statistics if pooling == "auto" else _names("pooling", pooling, STATISTICS),
        base.layers if layers == "auto" else layers,
        base.views if views == "auto" else _names("views", views, VIEWS),
    )


def _names(
    parameter: str, given: str | Sequence[str] | None, known: tuple[str, ...]
) -> tuple[str, ...]:
    if given is None:
        return ()
    names = (given,) if isinstance(given, str) else tuple(given)
    if not names or any(name not in known for name in names) or len(set(names)) < len(names):
        raise ValueError(
            f"{parameter} must be one of {', '.join(map(repr, known))} or a tuple of different "
            f"ones, got {given!r}."
        )
    return names
