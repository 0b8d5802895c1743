"""The paper's studies: a name, and what its variants change in the embedder's parameters.

Whatever a variant does not name is as the run has it: FEIEmbedder's defaults, or what was set.
"""

from __future__ import annotations

from typing import Any

from fei_sklearn.objectives import ABLATIONS, PUBLISHED, RIVALS

Variant = tuple[str, dict[str, Any]]

#: The readout of the paper, under which all methods are compared, but for what is their own.
MEAN = {"pooling": "mean"}


#: Study -> variants, each a name and parameters of FEIEmbedder.
STUDIES: dict[str, list[Variant]] = {
    "ablation": [(name, {"objective": name}) for name in ("fei", *ABLATIONS)],
    "masking": [(kind, {"mask_kind": kind}) for kind in ("discrete", "continuous", "temporal")],
    "ratio": [
        (f"{low:g}-{high:g}", {"mask_ratio": (low, high)})
        for low in (0.0, 0.1, 0.2)
        for high in (0.3, 0.5, 0.7, 0.9)
    ],
    "momentum": [(f"{m:g}", {"momentum": m}) for m in (0.9, 0.99, 0.995, 0.999, 1.0)],
    "sizes": [(size, {"encoder": size}) for size in ("tiny", "small", "norm", "big")],
    "rivals": [
        ("random", {"objective": "fei", "max_epochs": 0} | MEAN),
        *(
            (name, {"objective": name, "stride": PUBLISHED[name].get("stride", 2)} | MEAN)
            for name in (*RIVALS, "fei")
        ),
    ],
}
