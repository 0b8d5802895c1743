"""Write the tables of README and documentation from the committed records.

    python benchmarks/tables.py

A table stands in a page between ``<!-- table: NAME -->`` and ``<!-- end of table -->``, and NAME is
a key of `TABLES`. Each benchmark has the function that makes its table from its records. Records
are lines of JSON in ``docs/results``. A test compares the pages with what this script would write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import ablation
import adapting
import authors
import channels
import checkpoints
import choices
import compare_heads
import cost
import few_labels
import finetuning
import forecasting
import from_scratch
import front_pretraining
import front_views
import memory
import paper_sets
import peers
import peers_speed
import precision
import prefetch
import readouts
import recipes
import regression
import rival_tables
import scaling
import semi_supervised
import short_embeddings
import speed
import unequal_lengths
from families import compare
from results import by_title, markdown_table, read_json

ROOT = Path(__file__).parent.parent
RECORDS = ROOT / "docs" / "results"

BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)

#: Ways to use a checkpoint: their file of records, title in it, and features.
WAYS = {
    "default": ("front_views", "{}: level, change, halved, sum", 2688),
    '`pooling="small"`': ("front_views", "{}: small", 1344),
    '`n_components=256, calibration="panel"`': ("short_embeddings", "{}, panel: 256", 256),
    '`n_components=64, calibration="panel"`': ("short_embeddings", "{}, panel: 64", 64),
    "`n_components=256`": ("short_embeddings", "{}, fixed: 256", 256),
    "`n_components=64`": ("short_embeddings", "{}, fixed: 64", 64),
}


def read_records(name: str) -> list[dict]:
    """Return the committed records of a benchmark."""
    return read_json(RECORDS / f"{name}.jsonl")


def summary() -> str:
    """Return the scores of the checkpoint "default" beside MiniRocket and its untrained twin."""
    rows = []
    for way, (benchmark, title, n_features) in WAYS.items():
        accuracies = by_title(read_records(benchmark))
        rocket = accuracies["MiniRocket"]
        trained = compare(accuracies[title.format("default")], rocket)
        untrained = compare(accuracies[title.format("TWIN")], rocket)
        points = [trained["over sets"], untrained["over sets"]]
        rows.append([way, f"{n_features:,}", trained["accuracy"], *points])
    accuracy = compare(rocket, rocket)["accuracy"]
    rows.append(["MiniRocket", "9,996", accuracy, "", ""])
    columns = ["", "features", "accuracy", "points above MiniRocket", "the same, untrained"]
    return markdown_table(columns, rows)


def from_records(make: Callable[..., str], name: str, *args: object) -> str:
    """Return what a benchmark's function makes of its committed records."""
    return make(read_records(name), *args)


def of_panels(task: str, readout: str, records: str = "semi_supervised") -> Callable[[], str]:
    """Return the maker of a table of ``semi_supervised.py``."""
    return partial(from_records, semi_supervised.table, records, task, readout)


def of_rivals(make: Callable[..., str], *args: object) -> Callable[[], str]:
    """Return the maker of a table of ``rivals.py``."""
    return partial(from_records, make, "rivals", *args)


def of_study(study: str, head: str) -> Callable[[], str]:
    """Return the maker of a table of ``ablation.py``."""
    return partial(from_records, ablation.table, "ablation", study, head)


def of_paper_sets(protocol: str, metric: str) -> Callable[[], str]:
    """Return the maker of a table of ``paper_sets.py``."""
    return partial(from_records, paper_sets.table, "paper_sets", protocol, metric)


#: Makers of tables by the name that pages give.
TABLES: dict[str, Callable[[], str]] = {
    "summary": summary,
    "checkpoints": partial(from_records, checkpoints.table, "checkpoints"),
    "front_views": partial(from_records, front_views.table, "front_views"),
    "front_pretraining": partial(from_records, front_pretraining.table, "front_pretraining"),
    "short_embeddings": partial(from_records, short_embeddings.table, "short_embeddings"),
    "few_labels": partial(from_records, few_labels.table, "few_labels"),
    "few_labels_paper": partial(from_records, few_labels.table, "few_labels_paper"),
    "heads": partial(from_records, compare_heads.table, "heads"),
    "finetuning": partial(from_records, finetuning.accuracy_table, "finetuning"),
    "finetuning_errors": partial(from_records, finetuning.error_table, "finetuning"),
    "forecasting": partial(from_records, forecasting.table, "forecasting"),
    "forecasting_series": partial(from_records, forecasting.series_table, "forecasting"),
    "regression": partial(from_records, regression.table, "regression", "R2"),
    "regression_errors": partial(from_records, regression.error_table, "regression"),
    "regression_folds": partial(from_records, regression.table, "regression", "folds"),
    "from_scratch": partial(from_records, from_scratch.table, "from_scratch"),
    "stretching": partial(from_records, from_scratch.table, "stretching"),
    "adapting": partial(from_records, adapting.table, "adapting", "default"),
    "adapting_paper": partial(from_records, adapting.table, "adapting", "paper"),
    "readouts": partial(from_records, readouts.table, "readouts"),
    "choices_channels": partial(from_records, choices.table, "choices", "channels"),
    "choices_scaling": partial(from_records, choices.table, "choices", "scaling"),
    "recipes": partial(from_records, recipes.table, "recipes"),
    "channels": partial(from_records, channels.table, "channels"),
    "channels_small": partial(from_records, checkpoints.table, "channels_small"),
    "peers": partial(from_records, peers.table, "peers"),
    "peers_speed": partial(from_records, peers_speed.table, "peers_speed"),
    "unequal_lengths": partial(from_records, unequal_lengths.table, "unequal_lengths"),
    "unequal_lengths_small": partial(from_records, unequal_lengths.table, "unequal_lengths_small"),
    "cut_series": partial(from_records, unequal_lengths.table, "cut_series"),
    "cost": partial(from_records, cost.cost_table, "cost"),
    "cost_rates": partial(from_records, cost.rates_table, "cost"),
    "scaling_steps": partial(from_records, scaling.step_table, "scaling"),
    "scaling_network": partial(from_records, scaling.network_table, "scaling"),
    "scaling_devices": partial(from_records, scaling.device_table, "scaling"),
    "speed_front": partial(from_records, speed.rate_table, "speed", "front"),
    "speed_minirocket": partial(from_records, speed.rate_table, "speed", "minirocket"),
    "speed_growth": partial(from_records, speed.growth_table, "speed"),
    "precision": partial(from_records, precision.table, "precision"),
    "memory": partial(from_records, memory.table, "memory"),
    "prefetch": partial(from_records, prefetch.table, "prefetch"),
    "authors": partial(from_records, authors.table, "authors"),
    "semi_supervised_default": of_panels("classification", "default"),
    "semi_supervised_short": of_panels("classification", "64 numbers"),
    "semi_supervised_paper": of_panels("classification", "paper"),
    "semi_supervised_regression": of_panels("regression", "default"),
    "semi_supervised_regression_short": of_panels("regression", "64 numbers"),
    "semi_supervised_kept": of_panels("classification", "default", "semi_supervised_kept"),
    "semi_supervised_femto": of_panels("regression", "default", "semi_supervised_kept"),
    "paper_linear": of_paper_sets("linear", "accuracy"),
    "paper_linear_mse": of_paper_sets("linear", "mse"),
    "paper_linear_mae": of_paper_sets("linear", "mae"),
    "paper_probe": of_paper_sets("probe", "accuracy"),
    "paper_probe_mse": of_paper_sets("probe", "mse"),
    "paper_finetune": of_paper_sets("finetune", "accuracy"),
    "rivals_ranks_steps": of_rivals(rival_tables.rank_table, "steps"),
    "rivals_ranks_seconds": of_rivals(rival_tables.rank_table, "seconds"),
    "rivals_steps": of_rivals(rival_tables.accuracy_table, "steps"),
    "rivals_seconds": of_rivals(rival_tables.accuracy_table, "seconds"),
    "rivals_ranks_budgets": of_rivals(rival_tables.budget_rank_table),
    "rivals_budgets": of_rivals(rival_tables.budget_table),
    "rivals_sleep": of_rivals(rival_tables.named_table, "sleep", "steps", "linear"),
    "rivals_options": of_rivals(rival_tables.option_table),
    "rivals_readouts": of_rivals(rival_tables.readout_table),
    "rivals_costs": of_rivals(rival_tables.cost_table),
    "ablation_ridge": of_study("ablation", "ridge"),
    "ablation_linear": of_study("ablation", "linear"),
    "masking_ridge": of_study("masking", "ridge"),
    "masking_linear": of_study("masking", "linear"),
    "momentum_ridge": of_study("momentum", "ridge"),
    "momentum_linear": of_study("momentum", "linear"),
    "ratio_ridge": of_study("ratio", "ridge"),
    "ratio_linear": of_study("ratio", "linear"),
    "ablation_losses": partial(from_records, ablation.loss_table, "ablation"),
}


def pages() -> Iterator[Path]:
    """Yield the pages that may hold tables."""
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").rglob("*.md"))


def with_tables(text: str) -> str:
    """Return the text of a page with its tables made from the records."""

    def block(match: re.Match[str]) -> str:
        beginning, name, end = match.groups()
        return f"{beginning}\n{TABLES[name]()}\n\n{end}"

    return BLOCK.sub(block, text)


def main() -> None:
    """Write every page whose tables differ from the records."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        made = with_tables(text)
        if made != text:
            page.write_text(made, encoding="utf-8")
            print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
