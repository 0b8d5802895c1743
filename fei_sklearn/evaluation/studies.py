"""The paper's studies: names, and the parameters of the embedder that their variants change.

A variant keeps the run's values of all other parameters: what was set, the paper's encoder, or the
defaults of FEIEmbedder.
"""

from __future__ import annotations

from typing import Any

from fei_sklearn.objectives import ABLATIONS, PUBLISHED, RIVALS

#: Parameters of every variant, unless others are set. The readout of the default encoder hardly
#: depends on what the studies vary.
BASE: dict[str, Any] = {"encoder": "small"}

#: The readout of the paper, under which all methods are compared.
MEAN = {"pooling": "mean"}

#: A name, and parameters of FEIEmbedder.
Change = tuple[str, dict[str, Any]]


def _changes(param: str, values: tuple[Any, ...]) -> list[Change]:
    """Return variants that differ in one parameter, named by its values."""
    variants = []
    for value in values:
        name = str(value)
        variants.append((name, {param: value}))
    return variants


def _mask_ratios() -> list[Change]:
    variants = []
    for low in (0.0, 0.1, 0.2):
        for high in (0.3, 0.5, 0.7, 0.9):
            name = f"{low:g}-{high:g}"
            variants.append((name, {"mask_ratio": (low, high)}))
    return variants


def _momenta() -> list[Change]:
    momenta = (0.9, 0.99, 0.995, 0.999, 1.0)
    return [(f"{momentum:g}", {"momentum": momentum}) for momentum in momenta]


def _rivals() -> list[Change]:
    """Return an untrained encoder, the rivals and FEI, all under the paper's readout."""
    variants: list[Change] = []
    untrained = {"objective": "fei", "max_epochs": 0} | MEAN
    variants.append(("random", untrained))
    for name in (*RIVALS, "fei"):
        stride = PUBLISHED[name].get("stride", 2)
        params = {"objective": name, "stride": stride} | MEAN
        variants.append((name, params))
    return variants


#: Study -> variants.
STUDIES: dict[str, list[Change]] = {
    "ablation": _changes("objective", ("fei", *ABLATIONS)),
    "masking": _changes("mask_kind", ("discrete", "continuous", "temporal")),
    "ratio": _mask_ratios(),
    "momentum": _momenta(),
    "sizes": _changes("encoder", ("tiny", "small", "norm", "big")),
    "rivals": _rivals(),
}
