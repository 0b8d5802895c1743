"""Embeddings and probes after pretraining in bfloat16, beside float32.

    python benchmarks/precision.py [--data FOLDER] [--encoder tiny] [--epochs 20] [--seeds 2]
                                   [--out precision.jsonl]

Each set is pretrained on in float32 and in mixed bfloat16, from the same seeds. A standardised
ridge head is cross-validated on the training part; test parts are never touched. The likeness of
embeddings is linear CKA, which is 1 where one is a rotation of the other; the likeness of two
float32 runs from two seeds shows the effect of chance. The sets are those that sktime ships, and
any other name is a file FOLDER/NAME.npz with `X_train` and `y_train`. A CPU without bfloat16 of its
own computes the same, many times more slowly.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
from heads import cross_validated
from results import append_json, markdown_table
from sktime_sets import UNIVARIATE, load_training_part

from fei_sklearn import FEIEmbedder

PRECISIONS = ("32-true", "bf16-mixed")


def training_part(name: str, folder: Path | None) -> tuple[np.ndarray, np.ndarray]:
    if name in UNIVARIATE:
        return load_training_part(name, folder)
    with np.load(folder / f"{name}.npz") as arrays:
        return arrays["X_train"], arrays["y_train"]


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Return linear centred kernel alignment (Kornblith et al., ICML 2019) of embeddings."""
    gram_a = gram_matrix(a)
    gram_b = gram_matrix(b)
    cross = np.sum(gram_a * gram_b)
    own_a = np.sum(gram_a * gram_a)
    own_b = np.sum(gram_b * gram_b)
    return float(cross / np.sqrt(own_a * own_b))


def gram_matrix(embeddings: np.ndarray) -> np.ndarray:
    """Return the inner products of standardised embeddings."""
    centred = embeddings - embeddings.mean(axis=0)
    standardised = centred / (embeddings.std(axis=0) + 1e-9)
    return standardised @ standardised.T


def mean_likeness(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    return np.mean([likeness(a, b) for a, b in pairs])


def measure(name: str, args: argparse.Namespace) -> dict:
    """Return the record of a set: scores by precision, and likeness of embeddings."""
    X, y = training_part(name, args.data)
    embeddings = {}
    scores = {}
    for precision in PRECISIONS:
        scores[precision] = []
        embeddings[precision] = []
        for seed in range(args.seeds):
            embedder = FEIEmbedder(
                args.encoder,
                max_epochs=args.epochs,
                pooling="mean",
                layers="last",
                precision=precision,
                random_state=seed,
            )
            embedded = embedder.fit_transform(X).astype(np.float64)
            embeddings[precision].append(embedded)
            scores[precision].append(cross_validated(embedded, y, seed))
    single, mixed = embeddings.values()
    return {
        "set": name,
        **scores,
        "likeness of precisions": mean_likeness(list(zip(single, mixed, strict=True))),
        "likeness of seeds": mean_likeness(list(itertools.combinations(single, 2))),
    }


def table(records: list[dict]) -> str:
    """Return the accuracies of each precision and seed, and the likeness of embeddings."""
    rows = []
    for record in records:
        accuracies = [
            ", ".join(f"{score:.3f}" for score in record[precision]) for precision in PRECISIONS
        ]
        precisions = f"{record['likeness of precisions']:.3f}"
        seeds = f"{record['likeness of seeds']:.3f}"
        rows.append([record["set"], *accuracies, precisions, seeds])
    columns = [
        "set",
        "float32",
        "bfloat16",
        "similarity (CKA) of both precisions",
        "of two seeds",
    ]
    return markdown_table(columns, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=["GunPoint", "ItalyPowerDemand"])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--encoder", default="tiny")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON lines, one per set")
    args = parser.parse_args()
    records = []
    for name in args.sets:
        record = measure(name, args)
        append_json(args.out, record)
        records.append(record)
    print(table(records))


if __name__ == "__main__":
    main()
