"""Tables and picture of ``rivals.py``, from its records.

    python benchmarks/rival_tables.py docs/results/rivals.jsonl --picture docs/_static/rivals.png

The picture has the average ranks under the ridge head.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ranks import Ranks, draw, rank
from results import markdown_table, read_json
from rival_budgets import BUDGETS, CORPORA, METHODS, OPTIONS, READOUTS, UNTRAINED, WITH_STAGES
from rivals import BATCH_SIZE, PAPER_SETS

HEADS = ("linear", "ridge", "few")
REGRESSION = ("FD001", "FEMTO")

TITLES = {
    UNTRAINED: "untrained",
    "ts2vec": "TS2Vec",
    "timedrl": "TimeDRL",
    "tfc": "TF-C",
    "timesurl": "TimesURL",
    "simmtm": "SimMTM",
    "infots": "InfoTS",
    "fei": "FEI",
}
OPTION_TITLES = {
    UNTRAINED: "untrained",
    "random, stride 1": "untrained, `stride=1`",
    "random, tfc": "untrained encoders of TF-C",
    "fei": "FEI",
    "fei, stride 1": "FEI, `stride=1`",
    "fei, time points": 'FEI, `mask_kind="temporal"`',
    "fei, ratio 0.3-0.7": "FEI, `mask_ratio=(0.3, 0.7)`",
    "fei, 4 targets": "FEI, `n_targets=4`",
    "fei, momentum 0.9": "FEI, `momentum=0.9`",
    "fei, no momentum": 'FEI, `objective="fei-no-momentum"`',
}
CORPUS_TITLES = {"sleep": "sleep EEG", "synthetic": "synthetic corpus"}
BUDGET_TITLES = {
    "steps": "tiny, 128 steps",
    "longer": "tiny, 512 steps",
    "small": "small, 128 steps",
}
#: Budgets with tables of their own.
EQUAL = ("steps", "seconds")
#: Budgets of one corpus, and the budget with which they are compared.
LARGER = ("longer", "small")
COMPARED = ("steps", *LARGER)

#: Methods that a budget shares with equal steps.
SHARED = {"seconds": (UNTRAINED,), "options": (UNTRAINED, "fei")}

#: Scores by seed, then by set.
BySeed = dict[int, dict[str, float]]


def pretrainings(records: list[dict]) -> list[dict]:
    """Return the records of scores."""
    return [record for record in records if "scores" in record]


def scores(
    records: list[dict],
    corpus: str,
    budget: str,
    head: str,
    readout: str = "paper",
) -> dict[str, BySeed]:
    """Return the scores of each method by seed."""
    found: dict[str, BySeed] = {method: {} for method in (*METHODS, *OPTIONS)}
    for record in pretrainings(records):
        method = record["method"]
        is_shared = record["budget"] == "steps" and method in SHARED.get(budget, ())
        fits_budget = record["budget"] == budget or is_shared
        fits_seeds = record["seed"] in BUDGETS[budget].seeds
        fits_column = record["corpus"] == corpus and record["readout"] == readout
        if fits_budget and fits_seeds and fits_column:
            found[method][record["seed"]] = record["scores"][head]
    return {method: by_seed for method, by_seed in found.items() if by_seed}


def mean_accuracies(by_seed: BySeed) -> np.ndarray:
    """Return the mean accuracy over the sets with classes in points, one for each seed."""
    means = []
    for by_set in by_seed.values():
        of_classes = [score for name, score in by_set.items() if name not in REGRESSION]
        means.append(100 * np.mean(of_classes))
    return np.array(means)


def with_deviation(values: np.ndarray, digits: int = 1) -> str:
    """Return the mean, and the standard deviation over seeds if there are several."""
    mean = f"{values.mean():.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {values.std(ddof=1):.{digits}f}"


def over_seeds(by_seed: BySeed) -> dict[str, float]:
    """Return the mean over seeds for each set."""
    names = next(iter(by_seed.values()))
    return {name: float(np.mean([by_set[name] for by_set in by_seed.values()])) for name in names}


def ranks(
    records: list[dict],
    corpus: str,
    budget: str,
    head: str,
    titles: Mapping[str, str] = TITLES,
) -> Ranks:
    """Rank the methods by their means over seeds on the sets that the head was fitted on."""
    of_methods = scores(records, corpus, budget, head)
    return rank({title: over_seeds(of_methods[method]) for method, title in titles.items()})


def columns() -> list[str]:
    """Return a column for each corpus and head."""
    return [f"{CORPUS_TITLES[corpus]}, {head}" for corpus in CORPORA for head in HEADS]


def accuracy_cells(records: list[dict], corpus: str, budget: str, method: str) -> list[str]:
    """Return the mean accuracies of a method over the sets with classes, by head."""
    cells = []
    for head in HEADS:
        by_seed = scores(records, corpus, budget, head)[method]
        cells.append(with_deviation(mean_accuracies(by_seed)))
    return cells


def accuracy_table(records: list[dict], budget: str) -> str:
    """Return mean accuracies over the sets with classes, by corpus and head."""
    rows = []
    for method, title in TITLES.items():
        row = [title]
        for corpus in CORPORA:
            row += accuracy_cells(records, corpus, budget, method)
        rows.append(row)
    return markdown_table(["method", *columns()], rows)


def option_table(records: list[dict]) -> str:
    """Return accuracies of FEI's options and of the controls: sleep EEG, equal steps."""
    rows = []
    for method, title in OPTION_TITLES.items():
        rows.append([title, *accuracy_cells(records, "sleep", "options", method)])
    return markdown_table(["method", *HEADS], rows)


def of_longer_seeds(records: list[dict]) -> list[dict]:
    """Return the scores of the seeds that were trained longer."""
    seeds = BUDGETS["longer"].seeds
    return [record for record in pretrainings(records) if record["seed"] in seeds]


def compared_titles() -> dict[str, str]:
    """Return the titles of the methods that all compared budgets have."""
    common = set.intersection(*(set(BUDGETS[budget].methods) for budget in COMPARED))
    return {method: title for method, title in TITLES.items() if method in common}


def budget_table(records: list[dict]) -> str:
    """Return accuracies at 128 steps, at more of them, and of a wider encoder: sleep EEG."""
    comparable = of_longer_seeds(records)
    rows = []
    for method, title in compared_titles().items():
        row = [title]
        for budget in COMPARED:
            row += accuracy_cells(comparable, "sleep", budget, method)
        rows.append(row)
    heads = [f"{BUDGET_TITLES[budget]}, {head}" for budget in COMPARED for head in HEADS]
    return markdown_table(["method", *heads], rows)


def table_of_ranks(of_columns: Mapping[str, Ranks]) -> str:
    """Return average ranks by column, and their tests."""
    found = list(of_columns.values())
    rows = []
    for title in TITLES.values():
        if title in found[0].averages:
            rows.append([title, *(f"{column.averages[title]:.2f}" for column in found)])
    rows.append(["p, Friedman", *(f"{column.p_value:.1g}" for column in found)])
    rows.append(["critical difference", *(f"{column.critical_difference:.2f}" for column in found)])
    return markdown_table(["method", *of_columns], rows)


def rank_table(records: list[dict], budget: str) -> str:
    """Return average ranks over all sets, by corpus and head, and their tests."""
    of_columns = {}
    for corpus in CORPORA:
        for head in HEADS:
            title = f"{CORPUS_TITLES[corpus]}, {head}"
            of_columns[title] = ranks(records, corpus, budget, head)
    return table_of_ranks(of_columns)


def budget_rank_table(records: list[dict]) -> str:
    """Return average ranks among the methods that all compared budgets have: sleep EEG."""
    comparable = of_longer_seeds(records)
    titles = compared_titles()
    of_columns = {}
    for budget in COMPARED:
        for head in HEADS:
            title = f"{BUDGET_TITLES[budget]}, {head}"
            of_columns[title] = ranks(comparable, "sleep", budget, head, titles)
    return table_of_ranks(of_columns)


def named_table(records: list[dict], corpus: str, budget: str, head: str) -> str:
    """Return the scores of the paper's sets one by one, accuracy in percent or R2."""
    rows = []
    of_methods = scores(records, corpus, budget, head)
    for method, title in TITLES.items():
        row = [title]
        by_seed = of_methods[method]
        for name in PAPER_SETS:
            values = np.array([by_set[name] for by_set in by_seed.values()])
            is_regression = name in REGRESSION
            row.append(with_deviation(values, 2) if is_regression else with_deviation(100 * values))
        rows.append(row)
    return markdown_table(["method", *PAPER_SETS], rows)


def readout_table(records: list[dict]) -> str:
    """Return mean accuracies of both readouts at equal steps, for the methods that have two."""
    rows = []
    for method in WITH_STAGES:
        for readout in READOUTS:
            row = [TITLES[method], readout]
            for corpus in CORPORA:
                for head in ("ridge", "few"):
                    by_seed = scores(records, corpus, "steps", head, readout)[method]
                    row.append(with_deviation(mean_accuracies(by_seed)))
            rows.append(row)
    titles = [title for title in columns() if not title.endswith("linear")]
    return markdown_table(["method", "readout", *titles], rows)


def cost_table(records: list[dict]) -> str:
    """Return CPU seconds of a step, memory, and the training of each budget."""
    n_steps = {}
    seconds: dict[tuple, list[float]] = defaultdict(list)
    for record in pretrainings(records):
        key = (record["method"], record["budget"])
        n_steps[key] = record["steps"]
        seconds[key].append(record["seconds"])
    rows = []
    for record in records:
        if "cost" not in record:
            continue
        method = record["cost"]
        row = [TITLES[method], f"{1000 * record['seconds']:.0f}", f"{record['MiB']:.0f}"]
        for budget in EQUAL:
            key = (method, budget)
            row += [n_steps[key], f"{np.mean(seconds[key]):.1f}"]
        rows.append(row)
    trained = [f"equal {budget}: {what}" for budget in EQUAL for what in ("steps", "CPU seconds")]
    head = ["method", f"CPU ms per step of {BATCH_SIZE} series", "MiB of a fit", *trained]
    return markdown_table(head, rows)


def pictures(records: list[dict]) -> dict[str, Ranks]:
    """Return the average ranks under the ridge head by the title of their diagram."""
    found = {}
    for budget in EQUAL:
        for corpus in CORPORA:
            title = f"equal {budget}, {CORPUS_TITLES[corpus]}"
            found[title] = ranks(records, corpus, budget, "ridge")
    comparable = of_longer_seeds(records)
    for budget in LARGER:
        title = f"{BUDGET_TITLES[budget]}, sleep EEG"
        found[title] = ranks(comparable, "sleep", budget, "ridge", compared_titles())
    return found


def main() -> None:
    """Print the tables, and draw the average ranks under the ridge head."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("records", type=Path)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    records = read_json(args.records)
    for budget in EQUAL:
        print(f"\nequal {budget}\n\n{accuracy_table(records, budget)}\n")
        print(rank_table(records, budget))
        for corpus in CORPORA:
            print(f"\n{corpus}, linear\n\n{named_table(records, corpus, budget, 'linear')}")
    others = (budget_table, budget_rank_table, option_table, readout_table, cost_table)
    for make in others:
        print(f"\n{make(records)}")
    if args.picture is not None:
        draw(pictures(records), args.picture)


if __name__ == "__main__":
    main()
