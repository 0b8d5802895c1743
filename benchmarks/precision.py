"""What bfloat16 changes: embeddings and probes after pretraining in it, beside float32.

    python benchmarks/precision.py [--data FOLDER] [--encoder tiny] [--epochs 20] [--seeds 2]

Each set is pretrained on in float32 and in mixed bfloat16, from the same seeds. A standardised
ridge head is cross-validated on the training part; test parts are never touched. Likeness of
embeddings is linear CKA, 1 where one is a rotation of the other; that of two float32 runs from two
seeds says what chance does. Sets are those that sktime ships, and any other name is a file
FOLDER/NAME.npz with `X_train` and `y_train`. A CPU without bfloat16 of its own computes the same,
many times more slowly.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
from choices import UNIVARIATE, load, score

from fei_sklearn import FEIEmbedder

PRECISIONS = ("32-true", "bf16-mixed")


def training_part(name: str, folder: Path | None) -> tuple[np.ndarray, np.ndarray]:
    if name in UNIVARIATE:
        return load(name, folder)
    with np.load(folder / f"{name}.npz") as arrays:
        return arrays["X_train"], arrays["y_train"]


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Linear centred kernel alignment (Kornblith et al., ICML 2019) of standardised embeddings."""
    a, b = ((z - z.mean(0)) / (z.std(0) + 1e-9) for z in (a, b))
    cross, own_a, own_b = (np.sum((p @ p.T) * (q @ q.T)) for p, q in ((a, b), (a, a), (b, b)))
    return float(cross / np.sqrt(own_a * own_b))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=["GunPoint", "ItalyPowerDemand"])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--encoder", default="tiny")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    for name in args.sets:
        X, y = training_part(name, args.data)
        embeddings, scores = {}, {}
        for precision, seed in itertools.product(PRECISIONS, range(args.seeds)):
            embedder = FEIEmbedder(
                args.encoder,
                max_epochs=args.epochs,
                pooling="mean",
                layers="last",
                precision=precision,
                random_state=seed,
            )
            embeddings[precision, seed] = embedder.fit_transform(X).astype(np.float64)
            scores[precision, seed] = score(embeddings[precision, seed], y, seed)
        seeds = range(args.seeds)
        pairs = {
            "precisions": [
                (embeddings[PRECISIONS[0], s], embeddings[PRECISIONS[1], s]) for s in seeds
            ],
            "seeds": [
                (embeddings[PRECISIONS[0], s], embeddings[PRECISIONS[0], t])
                for s, t in itertools.combinations(seeds, 2)
            ],
        }
        line = [f"{name:18s}"]
        for precision in PRECISIONS:
            each = " ".join(f"{scores[precision, s]:.3f}" for s in seeds)
            line.append(f"{precision} {each}")
        line += [
            f"likeness of {what} {np.mean([likeness(*pair) for pair in two]):.4f}"
            for what, two in pairs.items()
        ]
        print("   ".join(line), flush=True)


if __name__ == "__main__":
    main()
