"""Few labels: checkpoints as they are, beside MiniRocket and TS2Vec, from 1 to 20 labels a class.

    python benchmarks/few_labels.py DIR --methods fei-small fei-tiny minirocket ts2vec

DIR holds ``.npz`` panels with the keys X_train, y_train, X_test, y_test. Every method is fitted
without labels on the training part: checkpoints take scaling and biases from it, MiniRocket its
biases, and TS2Vec pretrains. StandardScaler and RidgeClassifierCV are then fitted on the labelled
series alone, several draws of them. TS2Vec has the settings of its article, 200 steps of 8 series
at 1e-3 and its maxima over time, on this package's encoder.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
from checkpoints import MiniRocket, some
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset

#: TS2Vec's steps and batch (Yue et al., AAAI 2022, for sets of up to 100,000 values).
TS2VEC_STEPS, TS2VEC_BATCH = 200, 8


def method(name: str, n_series: int, encoder: str):
    """An unfitted transformer: "minirocket", "ts2vec", or a checkpoint."""
    if name == "minirocket":
        return MiniRocket(0)
    if name != "ts2vec":
        return FEIEmbedder(pretrained=name, random_state=0, n_jobs=1)
    steps_an_epoch = math.ceil(n_series / TS2VEC_BATCH)
    return FEIEmbedder(
        encoder,
        objective="ts2vec",
        stride=1,
        batch_size=TS2VEC_BATCH,
        max_epochs=math.ceil(TS2VEC_STEPS / steps_an_epoch),
        min_epoch_steps=1,
        learning_rate=1e-3,
        lr_decay=1.0,
        validation_fraction=None,
        pooling="max",
        random_state=0,
        n_jobs=1,
    )


def features(name: str, X_train, X_test, encoder: str):
    """Features of both parts, from a transformer fitted on the training part without labels."""
    transformer = method(name, len(X_train), encoder).fit(X_train)
    return transformer.transform(X_train), transformer.transform(X_test)


def score(train, y_train, test, y_test) -> float:
    """Accuracy of the head."""
    head = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 10)))
    return float(head.fit(train, y_train).score(test, y_test))


def main() -> None:
    """Print mean accuracies by number of labels a class."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--methods", nargs="+", default=["fei-small", "fei-tiny", "minirocket"])
    parser.add_argument("--sets", nargs="+", help="names; default: all in the folder")
    parser.add_argument("--labels", type=int, nargs="+", default=[1, 5, 10, 20])
    parser.add_argument("--draws", type=int, default=3, help="draws of the labelled series")
    parser.add_argument("--most", type=int, help="series of each part")
    parser.add_argument("--encoder", default="tiny", help="that of ts2vec")
    parser.add_argument("--out", type=Path, help="JSON lines, one a set and method")
    args = parser.parse_args()
    scores: dict[str, list[np.ndarray]] = {name: [] for name in args.methods}
    for set_name in args.sets or sorted(path.stem for path in args.folder.glob("*.npz")):
        dataset, rng = load_dataset(args.folder / f"{set_name}.npz"), np.random.default_rng(0)
        X_train, y_train = some(dataset.X_train, dataset.y_train, args.most, None, rng)
        X_test, y_test = some(dataset.X_test, dataset.y_test, args.most, None, rng)
        for name in args.methods:
            started = time.perf_counter()
            train, test = features(name, X_train, X_test, args.encoder)
            seconds = time.perf_counter() - started
            scores[name].append(np.empty((len(args.labels), args.draws)))
            for i, labels in enumerate(args.labels):
                for draw in range(args.draws):
                    rng = np.random.default_rng([draw, labels])
                    rows, _ = some(np.arange(len(y_train)), y_train, None, labels, rng)
                    head = make_pipeline(
                        StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 10))
                    )
                    head.fit(train[rows], y_train[rows])
                    scores[name][-1][i, draw] = head.score(test, y_test)
            line = {"set": set_name, "method": name, "seconds": seconds, "labels": args.labels}
            line["accuracy"] = scores[name][-1].mean(axis=1).tolist()
            print(json.dumps(line), flush=True)
            if args.out:
                with args.out.open("a") as file:
                    file.write(json.dumps(line) + "\n")
    print("| labels a class |", " | ".join(args.methods), "|\n|---|" + "---|" * len(args.methods))
    for i, labels in enumerate(args.labels):
        # the deviation is that of the mean over the sets from draw to draw
        by_draw = {name: np.mean(s, axis=0)[i] for name, s in scores.items()}
        cells = (f"{v.mean():.3f} ± {v.std(ddof=1):.3f}" for v in by_draw.values())
        print(f"| {labels} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
