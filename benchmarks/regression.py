"""Regression of frozen embeddings: ridge and forest heads, beside MiniRocket and MultiRocket.

    python benchmarks/regression.py DIR --out results.jsonl
    python benchmarks/regression.py DIR --out results.jsonl --report

DIR holds C-MAPSS and FEMTO for `load_dataset`, and ``.npz`` panels of the other sets. Seeds draw at
most `--most` series of each part, kernels and trees. All heads see the same features, and "fine-
tuned" is FEIRegressor. "folds" is the mean R2 on five folds of the training part, which hold
different engines or bearings where a set names them. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from families import mean_with_error
from heads import ridge_regressor
from minirocket import MiniRocket, MultiRocket, Rocket
from results import append_json, is_measured, markdown_table, read_json
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor, VotingRegressor
from sklearn.metrics import r2_score, root_mean_squared_error
from sklearn.model_selection import GroupKFold, KFold, cross_val_score
from ucr_sets import Split, embed

from fei_sklearn import FEIEmbedder, FEIRegressor
from fei_sklearn.datasets import load_dataset

SETS = (
    "tecator",
    "covid3month",
    "cardano_sentiment",
    "FEMTO",
    "FD001",
    "FD002",
    "FD003",
    "FD004",
)

#: Heads that each kind of features is measured with.
HEADS = {
    "default": ("ridge", "extra trees", "random forest", "ridge and trees"),
    "MiniRocket": ("ridge", "extra trees", "random forest", "ridge and trees"),
    "MultiRocket": ("ridge", "extra trees", "random forest"),
    "ROCKET": ("random forest",),
    "fine-tuned": ("linear",),
}

ROCKETS = {"MiniRocket": MiniRocket, "MultiRocket": MultiRocket, "ROCKET": Rocket}

#: Seed whose sample of the training part chooses the head by folds.
FOLDS_SEED = 0

WAYS = [(features, head) for features, heads in HEADS.items() for head in heads]

#: The way that others are compared with.
REFERENCE = ("default", "ridge")


def head(name: str, seed: int):
    """Return an unfitted regressor of features."""
    forest = {"n_estimators": 100, "max_features": "sqrt", "random_state": seed}
    if name == "ridge":
        return ridge_regressor()
    if name == "extra trees":
        return ExtraTreesRegressor(**forest)
    if name == "random forest":
        return RandomForestRegressor(**forest)
    return VotingRegressor([("ridge", head("ridge", seed)), ("trees", head("extra trees", seed))])


def transformer(features: str, seed: int):
    """Return an unfitted transformer of panels."""
    if features == "default":
        return FEIEmbedder(pretrained="default", n_jobs=1)
    return ROCKETS[features](seed)


def samples(name: str, seed: int, args: argparse.Namespace) -> tuple[Split, np.ndarray | None]:
    """Return some series of both parts, and the groups of the training series if there are any."""
    path = args.folder / f"{name}.npz"
    dataset = load_dataset(path) if path.exists() else load_dataset(name, root=args.folder)
    rng = np.random.default_rng(seed)
    train = np.sort(rng.permutation(len(dataset.y_train))[: args.most])
    test = np.sort(rng.permutation(len(dataset.y_test))[: args.most])
    groups = dataset.groups_train
    if groups is not None:
        groups = groups[train]
    split = Split(
        dataset.X_train[train], dataset.y_train[train], dataset.X_test[test], dataset.y_test[test]
    )
    return split, groups


def scores(model, split: Split) -> dict[str, float]:
    """Return the errors of a regressor on the test part, and the seconds of its fit."""
    started = time.process_time()
    model.fit(split.X_train, split.y_train)
    seconds = time.process_time() - started
    predicted = model.predict(split.X_test)
    return {
        "RMSE": float(root_mean_squared_error(split.y_test, predicted)),
        "R2": float(r2_score(split.y_test, predicted)),
        "seconds": seconds,
    }


def fold_score(model, split: Split, groups: np.ndarray | None) -> float:
    """Return the mean R2 of a head on folds of the training part."""
    folds = GroupKFold(5)
    if groups is None:
        folds = KFold(5, shuffle=True, random_state=0)
    r2 = cross_val_score(model, split.X_train, split.y_train, groups=groups, cv=folds)
    return float(r2.mean())


def measure(
    features: str, missing: list[str], split: Split, groups: np.ndarray | None, seed: int
) -> Iterator[dict]:
    """Yield the record of each missing head on the features."""
    if features == "fine-tuned":
        yield {"head": "linear"} | scores(FEIRegressor("default", random_state=seed), split)
        return
    found = embed(transformer(features, seed).fit(split.X_train), split)
    for name in missing:
        record = {"head": name} | scores(head(name, seed), found)
        if features == "default" and seed == FOLDS_SEED:
            record["folds"] = fold_score(head(name, seed), found, groups)
        yield record


def measure_set(
    name: str, seed: int, args: argparse.Namespace, records: list[dict]
) -> Iterator[dict]:
    """Yield the records of a set and a seed that are missing among others."""
    split, groups = samples(name, seed, args)
    for features in args.features:
        cell = {"set": name, "seed": seed, "features": features}
        missing = [
            head for head in HEADS[features] if not is_measured(cell | {"head": head}, records)
        ]
        if not missing:
            continue
        place = {"set": name, "seed": seed, "series": len(split.y_train), "features": features}
        for record in measure(features, missing, split, groups, seed):
            yield place | record


def by_way(records: list[dict], score: str) -> dict[tuple, dict[str, dict[int, float]]]:
    """Return a score by way, set and seed."""
    values: dict[tuple, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for record in records:
        if score in record:
            way = (record["features"], record["head"])
            values[way][record["set"]][record["seed"]] = record[score]
    return {way: values[way] for way in WAYS if way in values}


def table(records: list[dict], score: str) -> str:
    """Return the table of R2 on the test part, or on folds: a row per way, a column per set.

    The last column is the mean over sets of the logarithm of the ratio of RMSE to the reference,
    seed by seed.
    """
    values = by_way(records, score)
    rows = []
    for way, of_sets in values.items():
        mean = ""
        if len(of_sets) == len(SETS):
            mean = f"{np.mean([np.mean(list(each.values())) for each in of_sets.values()]):.3f}"
        differences = relative_errors(of_sets, values[REFERENCE])
        rows.append([*way, *cells(of_sets), mean, mean_with_error(differences)])
    return markdown_table(["features", "head", *SETS, "mean", "RMSE, % to ridge"], rows)


def relative_errors(
    of_sets: dict[str, dict[int, float]], reference: dict[str, dict[int, float]]
) -> np.ndarray:
    """Return the difference in RMSE of each set in percent, the mean over its seeds."""
    differences = []
    for name, of_seeds in of_sets.items():
        # RMSE is the root of 1 - R2, in units of the targets' deviation
        ratios = [(1 - r2) / (1 - reference[name][seed]) for seed, r2 in of_seeds.items()]
        differences.append(50 * np.mean(np.log(ratios)))
    return np.array(differences)


def error_table(records: list[dict]) -> str:
    """Return the table of RMSE on the test part."""
    rows = [[*way, *cells(of_sets)] for way, of_sets in by_way(records, "RMSE").items()]
    return markdown_table(["features", "head", *SETS], rows)


def cells(of_sets: dict[str, dict[int, float]]) -> list[str]:
    """Return the mean over the seeds of each set, and nothing where it was not measured."""
    means = {name: np.mean(list(of_seeds.values())) for name, of_seeds in of_sets.items()}
    return [f"{means[name]:.3f}" if name in means else "" for name in SETS]


def main() -> None:
    """Measure what is missing, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--features", nargs="+", default=list(HEADS), choices=HEADS)
    parser.add_argument("--most", type=int, default=1000, help="series of each part")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, one per measurement")
    parser.add_argument("--report", action="store_true", help="print tables of the records")
    args = parser.parse_args()
    records = read_json(args.out)
    if args.report:
        print(table(records, "R2"), error_table(records), table(records, "folds"), sep="\n\n")
        return
    for seed in args.seeds:
        for name in args.sets:
            for record in measure_set(name, seed, args, records):
                print(json.dumps(record), flush=True)
                append_json(args.out, record)


if __name__ == "__main__":
    main()
