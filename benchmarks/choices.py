"""Measure the defaults of FEIEmbedder against their alternatives, on training parts only.

    python benchmarks/choices.py scaling schedule --seeds 0 1 --out RECORDS
    python benchmarks/choices.py channels --encoder tiny --data FOLDER --out RECORDS

Each variant pretrains on the training series of a set, without labels; a standardised ridge head is
then cross-validated on the same series. Test parts are never touched. The sets are those that
sktime ships; ``--data`` adds ``har.npz`` of a folder (``X_train``, ``y_train``). A second run
measures what the file of records lacks.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from heads import cross_validated
from results import append_json, is_measured, markdown_table, read_json
from sktime_sets import MULTIVARIATE, UNIVARIATE, load_training_part

from fei_sklearn import FEIEmbedder

PAPER = {
    "max_epochs": 100,
    "batch_size": 512,
    "learning_rate": 2e-4,
    "lr_decay": 0.9,
    "min_epoch_steps": 1,
}

#: Parameters of the embedder for each variant of each study. The first variant is the default.
STUDIES: dict[str, dict[str, dict[str, Any]]] = {
    "channels": {
        "independent": {"channels": "independent"},
        "mix": {"channels": "mix"},
    },
    "scaling": {
        "channel": {"scaling": "channel"},
        "series": {"scaling": "series"},
    },
    "schedule": {
        "default": {},
        "untrained": {"max_epochs": 0},
        "the paper's": PAPER,
        "learning rate 2e-4": {"learning_rate": 2e-4},
        "large batches": {"batch_size": 512},
    },
}

#: Sets of each study.
SETS = {
    "channels": MULTIVARIATE,
    "scaling": UNIVARIATE,
    "schedule": UNIVARIATE,
}

#: Pooling of the two readouts.
READOUTS = {"default": "auto", "paper": "mean"}


def measure(params: dict[str, Any], X: np.ndarray, y: np.ndarray, seed: int) -> dict[str, float]:
    """Return the score of a variant under both readouts, and CPU seconds of its fit."""
    started = time.process_time()
    embedder = FEIEmbedder(random_state=seed, n_jobs=1, **params).fit(X)
    measures = {"seconds": time.process_time() - started}
    for readout, pooling in READOUTS.items():
        embedder.set_params(pooling=pooling)
        measures[readout] = float(cross_validated(embedder.transform(X), y, seed))
    return measures


def run(study: str, name: str, args: argparse.Namespace) -> None:
    """Write the records of a study on a set that are not there yet."""
    data = load_training_part(name, args.data)
    if data is None:
        return
    records = read_json(args.out)
    for variant, params in STUDIES[study].items():
        for seed in args.seeds:
            cell = {"study": study, "set": name, "variant": variant, "seed": seed}
            if not is_measured(cell, records):
                measures = measure({"encoder": args.encoder} | params, *data, seed)
                append_json(args.out, cell | measures)


def table(records: list[dict], study: str) -> str:
    """Return the scores of a study's variants by set, means over seeds, under both readouts."""
    scores: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if record["study"] == study:
            for readout in READOUTS:
                scores[readout, record["variant"]][record["set"]].append(record[readout])
    rows = []
    for (readout, variant), by_set in scores.items():
        rows.append([readout, variant, *(f"{np.mean(s):.3f}" for s in by_set.values())])
    names = next(iter(scores.values()))
    return markdown_table(["readout", study, *names], sorted(rows, key=lambda row: row[0]))


def main() -> None:
    """Run the studies that are named, and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="+", choices=list(STUDIES))
    parser.add_argument("--data", type=Path, help="folder of har.npz")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--encoder", default="dilated")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, one per cell")
    args = parser.parse_args()
    for study in args.studies:
        for name in SETS[study]:
            run(study, name, args)
        print(table(read_json(args.out), study))


if __name__ == "__main__":
    main()
