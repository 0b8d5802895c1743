"""Average ranks of methods over sets, Friedman's test, and Nemenyi's critical difference.

Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 2006.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import friedmanchisquare, rankdata, studentized_range

#: Probability of any false difference.
LEVEL = 0.05


class Ranks(NamedTuple):
    """Average rank of each method, best first, and what tests say of the differences.

    Attributes
    ----------
    averages : dict of str to float
        Average rank by method; rank 1 is the best of a set.
    p_value : float
        Of Friedman's test that all methods are equal.
    critical_difference : float
        Least difference of two average ranks that Nemenyi's test calls significant.
    n_sets : int
        Sets that were ranked.
    """

    averages: dict[str, float]
    p_value: float
    critical_difference: float
    n_sets: int


def rank(scores: Mapping[str, Mapping[str, float]]) -> Ranks:
    """Rank at least three methods on the sets that all of them have.

    Parameters
    ----------
    scores : mapping of str to mapping of str to float
        Score of each method by set; higher is better.

    Returns
    -------
    Ranks
        Average ranks and tests.
    """
    methods = list(scores)
    common = set.intersection(*(set(by_set) for by_set in scores.values()))
    sets = sorted(common)
    table = np.array([[scores[method][name] for name in sets] for method in methods])
    averages = rankdata(-table, axis=0).mean(axis=1)
    best_first = np.argsort(averages, kind="stable")
    _, p_value = friedmanchisquare(*table)
    return Ranks(
        averages={methods[i]: float(averages[i]) for i in best_first},
        p_value=float(p_value),
        critical_difference=critical_difference(len(methods), len(sets)),
        n_sets=len(sets),
    )


def critical_difference(n_methods: int, n_sets: int) -> float:
    """Return the least significant difference of average ranks under Nemenyi's test."""
    quantile = studentized_range.ppf(1 - LEVEL, n_methods, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(n_methods * (n_methods + 1) / (6 * n_sets)))


def groups(ranks: Ranks) -> list[tuple[float, float]]:
    """Return the widest ranges of average ranks within which no difference is significant."""
    averages = list(ranks.averages.values())
    ranges: list[tuple[float, float]] = []
    for first in averages:
        within = [rank for rank in averages if 0 <= rank - first < ranks.critical_difference]
        is_new = not ranges or within[-1] > ranges[-1][1]
        if len(within) > 1 and is_new:
            ranges.append((first, within[-1]))
    return ranges


def draw(pictures: Mapping[str, Ranks], path: Path) -> None:
    """Draw a diagram of critical differences for each title, two in a row."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    n_rows = -(-len(pictures) // 2)
    size = (9, 3.2 * n_rows)
    figure, axes = plt.subplots(n_rows, 2, figsize=size, layout="constrained", squeeze=False)
    for (title, ranks), ax in zip(pictures.items(), axes.flat, strict=False):
        _draw_one(ax, title, ranks)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_one(ax, title: str, ranks: Ranks) -> None:
    for place, (method, average) in enumerate(ranks.averages.items()):
        ax.plot(average, place, "o", color="tab:blue")
        text = f"{method}, {average:.1f}"
        ax.annotate(text, (average, place), (7, -3), textcoords="offset points", fontsize=8)
    n_methods = len(ranks.averages)
    for i, (low, high) in enumerate(groups(ranks)):
        height = -0.8 - 0.4 * i
        ax.plot([low, high], [height, height], color="black", linewidth=3)
    ax.set_xlim(1, n_methods + 1.5)
    ax.invert_yaxis()
    ax.set_yticks([])
    ax.set_title(f"{title}: critical difference {ranks.critical_difference:.1f}", fontsize=9)
    ax.set_xlabel("average rank; a bar joins methods without significant difference", fontsize=8)
    ax.spines[["left", "right", "top"]].set_visible(False)
