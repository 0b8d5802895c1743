"""Draw the picture of the README: ``python docs/pictures.py``."""

from __future__ import annotations

import runpy
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).parent.parent

runpy.run_path(str(ROOT / "examples" / "plot_few_labels.py"))
plt.gcf().savefig(ROOT / "docs" / "_static" / "few_labels.png", dpi=110)
