"""Views of the dilated front end, family by family, beside MiniRocket and the untrained twin.

    python benchmarks/front_views.py DIR --checkpoints default TWIN --most 200 --seeds 0 1

DIR holds ``.npz`` panels with the keys X_train, y_train, X_test, y_test. TWIN is a folder that
``fei-sklearn pretrain --recipe default --set max_epochs=0 --out TWIN`` wrote. The ridge head is the
same for all. Several seeds draw their own series from each set, and their accuracies are averaged.
The last columns compare the first checkpoint with each other one.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from families import compare
from heads import ridge_accuracy
from minirocket import MiniRocket
from results import append_json, by_title, markdown_table
from ucr_sets import Split, add_checkpoint_arguments, embed, sample_split, set_paths

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset
from fei_sklearn.readout.spec import FrontSpec

ALL_VIEWS = ("level", "shape", "change", "halved", "sum")

#: Readouts by title: their views, and the groups of eight kernels of each dilation.
READOUTS = {
    "level, change": FrontSpec(("level", "change"), 2),
    "level, change, halved": FrontSpec(("level", "change", "halved"), 2),
    "level, change, halved, sum": FrontSpec(("level", "change", "halved", "sum"), 2),
    "small": FrontSpec(("level", "change", "halved", "sum"), 1),
    "shape, change, halved, sum": FrontSpec(("shape", "change", "halved", "sum"), 2),
    "all five": FrontSpec(ALL_VIEWS, 2),
}

COLUMNS = ("readout", "features", "accuracy", "over sets", "over families", "won", "lost")


def readout_features(checkpoint: str, spec: FrontSpec, split: Split) -> Split:
    """Return the features of a readout of a checkpoint."""
    embedder = FEIEmbedder(pretrained=checkpoint, views=spec.views, n_jobs=1)
    if spec.n_groups == 1:
        embedder.set_params(pooling="small")
    return embed(embedder.fit(split.X_train), split)


def measure_set(path: Path, args: argparse.Namespace) -> dict:
    """Return the record of a set: the accuracies of MiniRocket and of every readout by title."""
    dataset = load_dataset(path)
    accuracies = defaultdict(list)
    for seed in args.seeds:
        rng = np.random.default_rng(seed)
        split = sample_split(dataset, rng, most_train=args.most, most_test=args.most)
        rocket = MiniRocket(0).fit(split.X_train)
        accuracies["MiniRocket"].append(ridge_accuracy(embed(rocket, split)))
        for checkpoint in args.checkpoints:
            for readout, spec in READOUTS.items():
                features = readout_features(checkpoint, spec, split)
                accuracies[f"{checkpoint}: {readout}"].append(ridge_accuracy(features))
    means = {title: float(np.mean(of_seeds)) for title, of_seeds in accuracies.items()}
    record = {"set": path.stem} | means
    append_json(args.out, record)
    return record


def checkpoints_of(titles: Iterable[str]) -> list[str]:
    """Return the checkpoints that titles such as "default: small" name, in their order."""
    names = [title.partition(": ")[0] for title in titles if ": " in title]
    return list(dict.fromkeys(names))


def table(records: list[dict]) -> str:
    """Return the table against MiniRocket: the first checkpoint, and what separates the others."""
    accuracies = by_title(records)
    rocket = accuracies["MiniRocket"]
    first, *others = checkpoints_of(accuracies)
    columns = list(COLUMNS)
    for other in others:
        columns += [f"{other}, over sets", f"{first} minus {other}"]
    rows = []
    for readout, spec in READOUTS.items():
        accuracy = accuracies[f"{first}: {readout}"]
        cells = [readout, f"{spec.n_features:,}", *compare(accuracy, rocket).values()]
        for other in others:
            of_other = accuracies[f"{other}: {readout}"]
            cells.append(compare(of_other, rocket)["over sets"])
            cells.append(compare(accuracy, of_other)["over sets"])
        rows.append(cells)
    rows.append(["MiniRocket", "9,996", compare(rocket, rocket)["accuracy"]])
    return markdown_table(columns, rows)


def main() -> None:
    """Print differences in points, with standard errors."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add_checkpoint_arguments(parser)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, help="JSON lines, one per set")
    args = parser.parse_args()
    print(table([measure_set(path, args) for path in set_paths(args)]))


if __name__ == "__main__":
    main()
