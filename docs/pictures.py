"""Draw the picture of the README from the records of few_labels: ``python docs/pictures.py``."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

DOCS = Path(__file__).parent

accuracy = defaultdict(list)
for line in (DOCS / "results" / "few_labels.jsonl").read_text(encoding="utf-8").splitlines():
    record = json.loads(line)
    if record["head"] != "fixed":
        continue
    accuracy[record["method"]].append(record["accuracy"])
labels = record["labels"]
places = range(len(labels))
embeddings = 100 * np.array(accuracy["default"])
rocket = 100 * np.array(accuracy["minirocket"])
lead = embeddings - rocket
error = lead.std(axis=0, ddof=1) / np.sqrt(len(lead))

figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
axes.errorbar(
    places,
    embeddings.mean(axis=0),
    yerr=error,
    fmt="o-",
    capsize=4,
    label="fei-sklearn, 2,688 features",
)
axes.plot(places, rocket.mean(axis=0), "s--", label="MiniRocket, 9,996 features")
axes.set_xticks(places, labels)
axes.set_xlabel("labelled series per class")
axes.set_ylabel("accuracy on the test part, percent")
axes.set_title(f"Mean of {len(lead)} UCR sets; bars: standard error of the difference", fontsize=10)
axes.grid(alpha=0.3)
axes.legend()
figure.savefig(DOCS / "_static" / "few_labels.png", dpi=110)
