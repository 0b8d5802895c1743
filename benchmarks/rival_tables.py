"""Tables and picture of ``rivals.py``, from its records.

    python benchmarks/rival_tables.py docs/results/rivals.jsonl --picture docs/_static/rivals.png

The picture has the average ranks under the ridge head.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from ranks import Ranks, draw, rank
from results import markdown_table, read_json
from rivals import (
    BATCH_SIZE,
    BUDGETS,
    CORPORA,
    METHODS,
    OPTIONS,
    PAPER_SETS,
    READOUTS,
    UNTRAINED,
    WITH_STAGES,
)

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
    "fei, momentum 0.9": "FEI, `momentum=0.9`",
}
CORPUS_TITLES = {"sleep": "sleep EEG", "synthetic": "synthetic corpus"}

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
    """Return the scores of each method by seed; the untrained encoder belongs to both budgets."""
    found: dict[str, BySeed] = {method: {} for method in (*METHODS, *OPTIONS)}
    for record in pretrainings(records):
        method = record["method"]
        fits_budget = record["budget"] == budget or method == UNTRAINED
        if record["corpus"] == corpus and fits_budget and record["readout"] == readout:
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


def ranks(records: list[dict], corpus: str, budget: str, head: str) -> Ranks:
    """Rank the methods by their means over seeds on the sets that the head was fitted on."""
    of_methods = scores(records, corpus, budget, head)
    return rank({title: over_seeds(of_methods[method]) for method, title in TITLES.items()})


def columns(corpora: Sequence[str] = CORPORA) -> list[str]:
    """Return a column for each corpus and head."""
    return [f"{CORPUS_TITLES[corpus]}, {head}" for corpus in corpora for head in HEADS]


def accuracy_table(
    records: list[dict],
    budget: str,
    titles: Mapping[str, str] = TITLES,
    corpora: Sequence[str] = CORPORA,
) -> str:
    """Return mean accuracies over the sets with classes, by corpus and head."""
    rows = []
    for method, title in titles.items():
        row = [title]
        for corpus in corpora:
            for head in HEADS:
                by_seed = scores(records, corpus, budget, head)[method]
                row.append(with_deviation(mean_accuracies(by_seed)))
        rows.append(row)
    return markdown_table(["method", *columns(corpora)], rows)


def option_table(records: list[dict]) -> str:
    """Return accuracies of FEI's options and of the controls: seed 0, sleep EEG, equal steps."""
    of_seed = [record for record in pretrainings(records) if record["seed"] == 0]
    return accuracy_table(of_seed, "steps", OPTION_TITLES, ("sleep",))


def rank_table(records: list[dict], budget: str) -> str:
    """Return average ranks over all sets, by corpus and head, and their tests."""
    of_columns = [ranks(records, corpus, budget, head) for corpus in CORPORA for head in HEADS]
    rows = []
    for title in TITLES.values():
        rows.append([title, *(f"{column.averages[title]:.2f}" for column in of_columns)])
    rows.append(["p, Friedman", *(f"{column.p_value:.1g}" for column in of_columns)])
    differences = [f"{column.critical_difference:.2f}" for column in of_columns]
    rows.append(["critical difference", *differences])
    return markdown_table(["method", *columns()], rows)


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
        for budget in BUDGETS:
            key = (method, budget)
            row += [n_steps[key], f"{np.mean(seconds[key]):.1f}"]
        rows.append(row)
    trained = [f"equal {budget}: {what}" for budget in BUDGETS for what in ("steps", "CPU seconds")]
    head = ["method", f"CPU ms per step of {BATCH_SIZE} series", "MiB of a fit", *trained]
    return markdown_table(head, rows)


def main() -> None:
    """Print the tables, and draw the average ranks under the ridge head."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("records", type=Path)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    records = read_json(args.records)
    for budget in BUDGETS:
        print(f"\nequal {budget}\n\n{accuracy_table(records, budget)}\n")
        print(rank_table(records, budget))
        for corpus in CORPORA:
            print(f"\n{corpus}, linear\n\n{named_table(records, corpus, budget, 'linear')}")
    for make in (option_table, readout_table, cost_table):
        print(f"\n{make(records)}")
    if args.picture is None:
        return
    pictures = {}
    for budget in BUDGETS:
        for corpus in CORPORA:
            title = f"equal {budget}, {CORPUS_TITLES[corpus]}"
            pictures[title] = ranks(records, corpus, budget, "ridge")
    draw(pictures, args.picture)


if __name__ == "__main__":
    main()
