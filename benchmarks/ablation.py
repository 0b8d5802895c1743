"""FEI without its components and with other masks and momenta, at several widths of the encoder.

    python benchmarks/ablation.py DIR --out ablation.jsonl
    python benchmarks/ablation.py DIR --out ablation.jsonl --widths tiny --variants fei continuous

Every variant pretrains the paper's encoder on the sleep EEG. Variants of one seed start from the
same encoder. Frozen embeddings under the paper's readout then feed a ridge head ("ridge") and the
paper's linear evaluation ("linear"). Every panel is standardised per time index. Scores are
accuracies. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from families import mean_with_error
from heads import ridge_accuracy
from results import append_json, is_measured, markdown_table, read_json
from rivals import READOUTS, corpus, linear_score, task_of
from ucr_sets import Split, embed

from fei_sklearn import FEIEmbedder
from fei_sklearn.evaluation import STUDIES
from fei_sklearn.evaluation.published import VARIANTS as PUBLISHED
from fei_sklearn.evaluation.published import published
from fei_sklearn.evaluation.sets import Task

UNTRAINED = "untrained"
FEI = "fei"

#: Variants that are FEI itself, under the names of its masks, momentum and ratios.
SAME = (FEI, "discrete", "0.995", "0-0.7")

#: Study -> parameters of the embedder by variant.
VARIANTS = {
    study: {variant: params for variant, params in STUDIES[study] if variant not in SAME}
    for study in ("ablation", "masking", "momentum", "ratio")
}
VARIANTS["ablation"] = {UNTRAINED: {}} | VARIANTS["ablation"]

#: Parameters of the embedder by variant.
PARAMS = {FEI: {}} | {name: params for study in VARIANTS.values() for name, params in study.items()}

#: Variants that cost most in the paper, and what they are compared with.
MAIN = (UNTRAINED, FEI, "fei-no-embedding-inference", "fei-no-mask-prompt", "fei-no-momentum")

WIDTHS = ("tiny", "small", "norm")
SETS = ("EPI", "GES", "EMG", "HAR", "CWRU")
HEADS = ("ridge", "linear")

#: Losses of the last pass that records keep.
LOSSES = ("embedding_loss", "mask_loss", "unexplained")


class Setting(NamedTuple):
    """Recipe of the pretrainings that are compared with each other."""

    width: str
    batch_size: int
    passes: int


def embedder_for(key: dict) -> FEIEmbedder:
    """Return the unfitted embedder of a variant."""
    common = {
        "encoder": key["width"],
        "batch_size": key["batch_size"],
        "max_epochs": key["passes"],
        "min_epoch_steps": 1,
        "validation_fraction": None,
        "scaling": None,
        "random_state": key["seed"],
        "n_jobs": 1,
    }
    return FEIEmbedder(**(common | READOUTS["paper"] | PARAMS[key["variant"]]))


def scores_of(embedder: FEIEmbedder, tasks: dict[str, Task], seed: int) -> dict:
    """Return the accuracies of both heads by set."""
    scores: dict[str, dict[str, float]] = {head: {} for head in HEADS}
    for name, task in tasks.items():
        split = Split(task.X_train, task.y_train, task.X_test, task.y_test)
        scores["ridge"][name] = round(ridge_accuracy(embed(embedder, split)), 4)
        scores["linear"][name] = round(linear_score(embedder, task, seed), 4)
    return scores


def measure(key: dict, X: np.ndarray, tasks: dict[str, Task]) -> dict:
    """Pretrain a variant, and return its record."""
    started = time.process_time()
    embedder = embedder_for(key).fit(X)
    seconds = time.process_time() - started
    steps = key["passes"] * (len(X) // key["batch_size"])
    record = key | {"steps": steps, "seconds": round(seconds, 1)}
    if embedder.history_:
        last = embedder.history_[-1]
        record["losses"] = {name: round(last[f"train_{name}"], 5) for name in LOSSES}
    return record | {"scores": scores_of(embedder, tasks, key["seed"])}


def key_of(setting: Setting, variant: str) -> dict:
    """Return what the pretrainings of a variant are known by, apart from their seed."""
    if variant == UNTRAINED:
        setting = setting._replace(passes=0)
    return setting._asdict() | {"variant": variant}


def keys(args: argparse.Namespace) -> Iterator[dict]:
    """Yield the keys of the pretrainings, all of a seed before the next seed."""
    for seed, width, variant in product(args.seeds, args.widths, args.variants):
        setting = Setting(width, args.batch_size, args.passes)
        yield key_of(setting, variant) | {"seed": seed}


def run(args: argparse.Namespace) -> None:
    """Measure what is missing."""
    tasks = {name: task_of(name, args) for name in args.sets}
    X = corpus("sleep", args.series, args.folder)
    for key in keys(args):
        if is_measured(key, read_json(args.out)):
            continue
        record = measure(key, X, tasks)
        append_json(args.out, record)
        print(json.dumps(record), f"{time.process_time():.0f} s", flush=True)


def order(setting: Setting) -> tuple:
    """Return the place of a setting in tables: by width, batch and passes."""
    return WIDTHS.index(setting.width), setting.batch_size, setting.passes


def setting_of(record: dict) -> Setting:
    """Return the setting of a record."""
    return Setting(*(record[name] for name in Setting._fields))


def points(records: list[dict], head: str, setting: Setting, variant: str) -> dict[int, np.ndarray]:
    """Return accuracies in points by seed: those of all sets, and their mean."""
    wanted = key_of(setting, variant)
    found = {}
    for record in records:
        if wanted.items() <= record.items():
            of_sets = [100 * record["scores"][head][name] for name in SETS]
            found[record["seed"]] = np.array([*of_sets, np.mean(of_sets)])
    return found


def title(variant: str) -> str:
    """Return the name of a variant in tables, that of the paper for its ablations."""
    if variant == FEI:
        return "FEI"
    if variant in VARIANTS["masking"]:
        return f"{variant} masks"
    if variant in VARIANTS["momentum"]:
        return f"momentum {variant}"
    if variant in VARIANTS["ratio"]:
        return f"ratios {variant}"
    return variant.replace("fei-no-", "w/o ").replace("-", " ")


def without_sign(values: Sequence[float]) -> str:
    """Return the mean of positive values, and its standard error."""
    return str(mean_with_error(np.array(values))).lstrip("+")


def measured_rows(
    records: list[dict], head: str, setting: Setting, variants: list[str]
) -> list[list]:
    """Return the accuracies of FEI, and the differences of other variants seed by seed."""
    reference = points(records, head, setting, FEI)
    of_columns = zip(*reference.values(), strict=True)
    cells = [without_sign(column) for column in of_columns]
    rows = [[*setting, "FEI: accuracy", len(reference), *cells]]
    for variant in variants:
        of_variant = points(records, head, setting, variant)
        seeds = of_variant.keys() & reference.keys()
        if not seeds:
            continue
        differences = [of_variant[seed] - reference[seed] for seed in sorted(seeds)]
        of_columns = zip(*differences, strict=True)
        cells = [str(mean_with_error(np.array(column))) for column in of_columns]
        rows.append([*setting, title(variant), len(differences), *cells])
    return rows


def published_rows(study: str) -> list[list]:
    """Return the published accuracies of FEI, and the differences of the other variants."""
    of_sets = [published("linear", study, "accuracy", name) for name in SETS]
    first, *others = PUBLISHED[study]
    cells = [f"{of_set[first]:.2f}" if of_set else "" for of_set in of_sets]
    rows = [["big, published", "", "", "FEI: accuracy", "", *cells, ""]]
    for variant in others:
        cells = []
        for of_set in of_sets:
            cells.append(f"{of_set[variant] - of_set[first]:+.2f}" if of_set else "")
        rows.append(["big, published", "", "", variant, "", *cells, ""])
    return rows


def table(records: list[dict], study: str, head: str) -> str:
    """Return the table of a study: accuracies of FEI, and points that a variant is above FEI."""
    settings = {setting_of(record) for record in records if record["variant"] == FEI}
    rows = []
    for setting in sorted(settings, key=order):
        of_setting = measured_rows(records, head, setting, list(VARIANTS[study]))
        if len(of_setting) > 1:
            rows += of_setting
    if study in PUBLISHED:
        rows += published_rows(study)
    return markdown_table(["encoder", "batch", "passes", "variant", "seeds", *SETS, "mean"], rows)


def loss_table(records: list[dict]) -> str:
    """Return the table of the shares of variance that variants leave unexplained."""
    trained = [record for record in records if "losses" in record]
    rows = []
    for setting in sorted({setting_of(record) for record in trained}, key=order):
        for variant in PARAMS:
            wanted = key_of(setting, variant)
            of_seeds = [record for record in trained if wanted.items() <= record.items()]
            if not of_seeds:
                continue
            shares = [record["losses"]["unexplained"] for record in of_seeds]
            rows.append([*setting, title(variant), len(shares), without_sign(shares)])
    return markdown_table(["encoder", "batch", "passes", "variant", "seeds", "unexplained"], rows)


def main() -> None:
    """Measure what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="JSON lines")
    parser.add_argument("--widths", nargs="+", default=WIDTHS)
    parser.add_argument("--variants", nargs="+", default=MAIN, choices=PARAMS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--passes", type=int, default=1, help="over the corpus")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--series", type=int, help="series of the corpus; default: all")
    parser.add_argument("--most", type=int, default=500, help="training series of a set")
    parser.add_argument("--most-test", type=int, default=1000, help="test series of a set")
    args = parser.parse_args()
    run(args)
    for study, head in product(VARIANTS, HEADS):
        print(f"\n{study}, {head}\n\n{table(read_json(args.out), study, head)}")
    print(f"\nlosses\n\n{loss_table(read_json(args.out))}")


if __name__ == "__main__":
    main()
