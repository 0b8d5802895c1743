"""FEI, its six rivals and the untrained encoder in one run, at equal steps and at equal seconds.

    python benchmarks/rivals.py DIR --out results.jsonl
    python benchmarks/rival_tables.py results.jsonl --picture ranks.png

Every method pretrains the same encoder on the same series, in batches of the same size, at the same
learning rate and schedule. A budget of ``rival_budgets.py`` gives each method the same number of
optimiser steps, or as many whole passes over the corpus as fit a number of CPU seconds. The seconds
of a step are measured before, in a process of their own for each method. Frozen embeddings then
feed a ridge head with all labels of a set ("ridge"), one with few of them in several draws ("few"),
and on the paper's sets its linear evaluation ("linear"). Every panel is standardised per time
index. Scores are accuracy, or R2 for targets. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from heads import PENALTIES
from memory import Peak, status
from results import append_json, is_measured, read_json
from rival_budgets import (
    BUDGETS,
    CORPORA,
    METHODS,
    OPTIONS,
    READOUTS,
    TRAINED,
    WITH_STAGES,
    Budget,
)
from semi_supervised import labelled_rows
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset, make_corpus
from fei_sklearn.evaluation.models import Conditions, adapt_embedder
from fei_sklearn.evaluation.protocols import end_to_end
from fei_sklearn.evaluation.sets import SetOptions, Task, load_task
from fei_sklearn.evaluation.splits import folds, thin
from fei_sklearn.evaluation.standardise import TimeIndexStandardiser, as_panel

#: TimeDRL embeds no series that is longer than the longest it was fitted on, or shorter than 16.
N_TIMEPOINTS = 178

#: The paper's sets and their substitutes.
PAPER_SETS = ("EPI", "EMG", "GES", "HAR", "CWRU", "FD001", "FEMTO")
SETS = (
    *PAPER_SETS,
    "UCR:Adiac",
    "UCR:Chinatown",
    "UCR:Crop",
    "UCR:DistalPhalanxTW",
    "UCR:ECG5000",
    "UCR:FacesUCR",
    "UCR:GunPoint",
    "UCR:ItalyPowerDemand",
    "UCR:MelbournePedestrian",
    "UCR:ProximalPhalanxOutlineAgeGroup",
    "UCR:TwoPatterns",
    "UCR:Wafer",
)
#: Linear evaluation takes thousands of steps for each of these.
WITHOUT_LINEAR = set(SETS) - set(PAPER_SETS)
BATCH_SIZE = 32

#: Panels are standardised before they are embedded.
CONDITIONS = Conditions("cpu", 1, standardised=True)

#: Labelled series per class, or in all if the target is a number.
FEW = {True: 5, False: 20}


@cache
def corpus(name: str, n_series: int | None, folder: Path) -> np.ndarray:
    """Return series of a corpus, all recorded ones for None, standardised per time index."""
    if name == "synthetic":
        series = make_corpus(n_series, N_TIMEPOINTS, random_state=0)[:, np.newaxis]
    else:
        recorded = load_dataset("SLE-UCDDB", root=folder, paper_protocol=True).X_train
        rows = np.random.default_rng(0).permutation(len(recorded))
        series = recorded[rows[:n_series]]
    panel = as_panel(series)
    return TimeIndexStandardiser(panel)(panel).astype(np.float32)


def embedder_for(method: str, seed: int, n_passes: int, encoder: str = "tiny") -> FEIEmbedder:
    """Return an unfitted embedder that makes a number of passes over its corpus."""
    common = {
        "encoder": encoder,
        "batch_size": BATCH_SIZE,
        "max_epochs": n_passes,
        "min_epoch_steps": 1,
        "validation_fraction": None,
        "scaling": None,
        "random_state": seed,
        "n_jobs": 1,
    }
    params = METHODS | OPTIONS
    return FEIEmbedder(**(common | params[method]))


def steps_per_pass(n_series: int) -> int:
    """Return the optimiser steps of one pass over a corpus."""
    return max(n_series // BATCH_SIZE, 1)


def cost(method: str) -> dict:
    """Return the CPU seconds of a step, without what a fit takes once, and the memory of a fit."""
    X = np.random.default_rng(0).standard_normal((4 * BATCH_SIZE, 1, N_TIMEPOINTS))
    embedder_for(method, 0, 1).fit(X)
    before = status("RssAnon")
    seconds = []
    with Peak() as peak:
        for n_passes in (1, 5):
            started = time.process_time()
            embedder_for(method, 0, n_passes).fit(X)
            seconds.append(time.process_time() - started)
    short, long = seconds
    n_further_steps = 4 * steps_per_pass(len(X))
    return {
        "cost": method,
        "seconds": round((long - short) / n_further_steps, 4),
        "MiB": round((peak.bytes - before) / 2**20, 1),
    }


def costs(args: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of a step by method; a process measures each that has no record."""
    known = {record["cost"]: record for record in read_json(args.out) if "cost" in record}
    for method in TRAINED:
        if method in known:
            continue
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            known[method] = process.submit(cost, method).result()
        print(json.dumps(known[method]), flush=True)
        append_json(args.out, known[method])
    return {method: record["seconds"] for method, record in known.items()}


def passes(method: str, budget: Budget, seconds_per_step: Mapping[str, float]) -> int:
    """Return the passes over the corpus that a budget pays for: none, or at least one."""
    params = METHODS | OPTIONS
    if params[method].get("max_epochs") == 0:
        return 0
    n_steps: float = budget.n_steps
    if budget.seconds is not None:
        n_steps = budget.seconds / seconds_per_step[method]
    return max(round(n_steps / steps_per_pass(budget.n_series)), 1)


def task_of(name: str, args: argparse.Namespace) -> Task:
    """Return a set cut and standardised as in the paper, its parts thinned."""
    options = SetOptions(args.folder, paper_protocol=True, per_time_index=True, most=args.most)
    task = load_task(name, options)
    rows = thin(task.y_test, args.most_test, classes=task.classes)
    X_val = None if task.X_val is None else task.X_val[..., :N_TIMEPOINTS]
    return Task(
        classes=task.classes,
        X_train=task.X_train[..., :N_TIMEPOINTS],
        y_train=task.y_train,
        X_test=task.X_test[rows, :, :N_TIMEPOINTS],
        y_test=task.y_test[rows],
        X_val=X_val,
        y_val=task.y_val,
        groups=task.groups,
    )


def group_folds(task: Task, seed: int) -> list | None:
    """Return folds by group, None where a set has no groups."""
    if task.groups is None:
        return None
    return folds(task.y_train, task.groups, classes=task.classes, seed=seed) or None


def scores_of(
    embedder: FEIEmbedder,
    task: Task,
    readout: str,
    seed: int,
    n_draws: int,
) -> dict[str, float]:
    """Return the scores of the ridge heads on a set."""
    embedder.set_params(**READOUTS[readout])
    if readout == "default":  # its thresholds are those of the set
        embedder = adapt_embedder(embedder, task.X_train, CONDITIONS)
    train = np.asarray(embedder.transform(task.X_train), dtype=np.float64)
    test = np.asarray(embedder.transform(task.X_test), dtype=np.float64)
    scaler = StandardScaler().fit(train)
    train = scaler.transform(train)
    test = scaler.transform(test)
    head = RidgeClassifierCV(PENALTIES) if task.classes else RidgeCV(PENALTIES)
    # windows of one engine resemble each other: left out one by one, they favour small penalties
    head.set_params(cv=group_folds(task, seed))
    ridge = head.fit(train, task.y_train).score(test, task.y_test)
    head.set_params(cv=None)
    of_draws = []
    for draw in range(n_draws):
        rng = np.random.default_rng(draw)
        rows = labelled_rows(task.y_train, FEW[task.classes], rng)
        head.fit(train[rows], task.y_train[rows])
        of_draws.append(head.score(test, task.y_test))
    return {"ridge": float(ridge), "few": float(np.mean(of_draws))}


def linear_score(embedder: FEIEmbedder, task: Task, seed: int) -> float:
    """Return the score of the paper's linear evaluation, under its readout."""
    embedder.set_params(**READOUTS["paper"])
    predicted = end_to_end(task, embedder, "linear", seed, CONDITIONS).predicted
    if task.classes:
        return float(np.mean(predicted == task.y_test))
    return float(r2_score(task.y_test, predicted))


def measure(
    key: dict,
    X: np.ndarray,
    n_passes: int,
    tasks: dict[str, Task],
    n_draws: int,
) -> Iterator[dict]:
    """Pretrain a method, and yield a record of scores for each readout of its budget."""
    budget = BUDGETS[key["budget"]]
    method = key["method"]
    seed = key["seed"]
    started = time.process_time()
    embedder = embedder_for(method, seed, n_passes, budget.encoder).fit(X)
    seconds = time.process_time() - started
    trained = {"steps": n_passes * steps_per_pass(len(X)), "seconds": round(seconds, 2)}
    for readout in budget.readouts:
        if readout == "default" and method not in WITH_STAGES:
            continue
        scores: dict[str, dict[str, float]] = {}
        for name, task in tasks.items():
            of_set = scores_of(embedder, task, readout, seed, n_draws)
            if readout == "paper" and name not in WITHOUT_LINEAR:
                of_set["linear"] = linear_score(embedder, task, seed)
            for head, score in of_set.items():
                scores.setdefault(head, {})[name] = round(score, 4)
        yield key | trained | {"readout": readout, "scores": scores}


def keys_of(args: argparse.Namespace) -> Iterator[dict]:
    """Yield what each pretraining is known by, one budget after the other."""
    for name in args.budgets:
        budget = BUDGETS[name]
        for seed, corpus_name, method in product(budget.seeds, budget.corpora, budget.methods):
            if corpus_name in args.corpora and method in args.methods:
                yield {"corpus": corpus_name, "budget": name, "method": method, "seed": seed}


def run(args: argparse.Namespace) -> None:
    """Measure what is missing."""
    tasks = {name: task_of(name, args) for name in args.sets}
    done = read_json(args.out)
    for key in keys_of(args):
        if is_measured(key, done):
            continue
        budget = BUDGETS[key["budget"]]
        seconds_per_step = costs(args) if budget.seconds is not None else {}
        X = corpus(key["corpus"], budget.n_series, args.folder)
        n_passes = passes(key["method"], budget, seconds_per_step)
        records = list(measure(key, X, n_passes, tasks, args.draws))
        for record in records:
            append_json(args.out, record)
        print(json.dumps(key), f"{time.process_time():.0f} s", flush=True)


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="JSON lines")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--corpora", nargs="+", default=CORPORA, choices=CORPORA)
    parser.add_argument("--budgets", nargs="+", default=list(BUDGETS), choices=list(BUDGETS))
    parser.add_argument("--methods", nargs="+", default=[*METHODS, *OPTIONS])
    parser.add_argument("--most", type=int, default=150, help="training series of a set")
    parser.add_argument("--most-test", type=int, default=300, help="test series of a set")
    parser.add_argument("--draws", type=int, default=5, help="draws of few labels")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
