"""Families of the UCR sets, and paired differences over sets and over families."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

#: Beginnings of the names of sets of one family; any other set is a family of its own.
FAMILIES = {
    "wiimote": ("AllGestureWiimote", "PickupGesture", "ShakeGesture"),
    "pebble": ("GesturePebble",),
    "phalanges": ("DistalPhalanx", "MiddlePhalanx", "ProximalPhalanx", "PhalangesOutlines"),
    "kitchen": (
        "LargeKitchen",
        "SmallKitchen",
        "Refrigeration",
        "ScreenType",
        "Computers",
        "ACSF1",
        "PLAID",
    ),
    "gunpoint": ("GunPoint",),
    "dodger": ("DodgerLoop",),
    "insect": ("InsectEPG",),
    "eog": ("EOG",),
    "worms": ("Worms",),
    "faces": ("FaceAll", "FacesUCR"),
    "leaves": ("OSULeaf", "ArrowHead", "Adiac", "DiatomSize"),
    "outlines": ("BeetleFly", "BirdChicken", "Herring", "ShapesAll"),
    "spectra": ("Meat", "Strawberry", "Wine"),
    "demand": ("ItalyPower", "Chinatown", "Melbourne", "Freezer"),
    "simulated": ("TwoPatterns", "SmoothSubspace", "ShapeletSim"),
}


def family(name: str) -> str:
    """Return the family of a set."""
    for title, beginnings in FAMILIES.items():
        if name.startswith(beginnings):
            return title
    return name


class Difference(NamedTuple):
    """Mean paired difference in points, and its standard error."""

    mean: float
    error: float

    def __str__(self) -> str:
        mean = f"{self.mean:+.2f}"
        if np.isnan(self.error):
            return mean
        return f"{mean} ({self.error:.2f})"


def mean_with_error(values: np.ndarray) -> Difference:
    """Return the mean of values and its standard error, NaN for a single value."""
    error = np.nan
    if len(values) > 1:
        error = float(values.std(ddof=1) / np.sqrt(len(values)))
    return Difference(float(values.mean()), error)


def compare(accuracy: Mapping[str, float], reference: Mapping[str, float]) -> dict[str, object]:
    """Return the cells of a table row that compares two methods set by set.

    Parameters
    ----------
    accuracy, reference : mapping of str to float
        Accuracy of either method by the name of the set.

    Returns
    -------
    dict of str to object
        Mean accuracy; differences in points over sets and over the means of families, with standard
        errors; sets won and lost.
    """
    names = sorted(accuracy)
    points = np.array([100 * (accuracy[name] - reference[name]) for name in names])
    of_families: dict[str, list[float]] = defaultdict(list)
    for name, difference in zip(names, points, strict=True):
        of_families[family(name)].append(difference)
    means_of_families = np.array([np.mean(of_family) for of_family in of_families.values()])
    return {
        "accuracy": f"{np.mean([accuracy[name] for name in names]):.4f}",
        "over sets": mean_with_error(points),
        "over families": mean_with_error(means_of_families),
        "won": int((points > 1e-9).sum()),
        "lost": int((points < -1e-9).sum()),
    }
