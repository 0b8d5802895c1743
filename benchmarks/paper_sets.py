"""The paper's sets: checkpoints and their untrained twins under the paper's protocols and a probe.

    python benchmarks/paper_sets.py DIR --out paper_sets.jsonl

DIR holds the sets of ``docs/datasets.md``. A twin is the recipe of a checkpoint before training,
drawn by the seed, its batch norm calibrated on the recipe's corpus. Records are those of
``fei-sklearn evaluate``, and cells of the file are not computed again.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from families import mean_with_error
from results import markdown_table

from fei_sklearn.evaluation import evaluate
from fei_sklearn.evaluation.tables import Table, tables, unit
from fei_sklearn.recipes import pretrain_recipe

SETS = ("EMG", "GES", "CWRU", "EPI", "HAR", "FD001", "FD002", "FD003", "FD004", "FEMTO")

#: Sets that a seed takes a minute of.
QUICK_SETS = ("EMG", "GES", "CWRU", "EPI", "FD001", "FD003")

#: End of the name of a checkpoint's twin.
UNTRAINED = "-untrained"

DEFAULT_PAIR = ("default", "default-untrained")
TINY_PAIR = ("fei-tiny", "fei-tiny-untrained")
PAIRS = (*DEFAULT_PAIR, *TINY_PAIR)
BASELINES = ("raw", "minirocket")

#: Columns of the tables.
MODELS = (*PAIRS, *BASELINES)

#: Metric -> name of the last row.
GAINS = {
    "accuracy": "points over the twin",
    "mse": "percent below the twin",
    "mae": "percent below the twin",
}

#: Series of the corpus that calibrate the batch norm of a twin. None is the recipe's number.
CALIBRATION_SERIES = {"default": None, "fei-tiny": 4096}


@dataclass(frozen=True)
class Run:
    """Models and sets under a protocol, and further arguments of `evaluate`."""

    protocol: str
    models: Sequence[str]
    sets: Sequence[str]
    seeds: Sequence[int]
    options: dict


PROBE = {"most": 500, "head": "ridge", "paper_protocol": True}

RUNS = (
    Run("linear", PAIRS, SETS, (0,), {"most": 500}),
    Run("linear", PAIRS, QUICK_SETS, (1, 2), {"most": 500}),
    Run("probe", (*DEFAULT_PAIR, *BASELINES), SETS, (0,), PROBE),
    # 14,496 features of 25,000 windows and more would take most of the time
    Run("probe", TINY_PAIR, (*QUICK_SETS, "HAR", "FEMTO"), (0,), PROBE),
    Run("finetune", PAIRS, QUICK_SETS[:4], (0,), {"most": 200}),
)


def save_twin(model: str, seed: int, folder: Path) -> Path:
    """Draw an untrained twin by the seed, save it, and return its folder."""
    path = folder / f"seed{seed}" / model
    if not path.exists():
        recipe = model.removesuffix(UNTRAINED)
        n_series = CALIBRATION_SERIES[recipe]
        twin = pretrain_recipe(recipe, n_series=n_series, max_epochs=0, random_state=seed)
        twin.save(path)
    return path


def measure(run: Run, data: Path, out: Path, folder: Path) -> None:
    """Evaluate the cells of a run that the results file does not have."""
    for seed in run.seeds:
        for model in run.models:
            source = save_twin(model, seed, folder) if model.endswith(UNTRAINED) else model
            evaluate(
                source,
                data=data,
                sets=run.sets,
                protocol=run.protocol,
                seeds=[seed],
                out=out,
                n_jobs=1,
                **run.options,
            )
            print(run.protocol, model, seed, flush=True)


def table(records: list[dict], protocol: str, metric: str) -> str:
    """Return a table of sets by models, beside the published figures.

    Parameters
    ----------
    records : list of dict
        Records of ``fei-sklearn evaluate``.
    protocol : {"linear", "finetune", "probe"}
        Protocol of the table.
    metric : {"accuracy", "mse", "mae"}
        Metric of the table.

    Returns
    -------
    str
        Means over seeds, with the sample standard deviation where there are several seeds. The
        last row compares checkpoints with their twins, see `gain`.
    """
    # the twins of several seeds have one column
    alike = [record | {"fingerprint": record["model"]} for record in records]
    (found,) = (
        table for table in tables(alike) if (table.protocol, table.metric) == (protocol, metric)
    )
    models = [model for model in MODELS if model in found.models]
    sets = [name for name in SETS if name in found.sets]
    published = {name: found.published(name) for name in sets}
    methods = list(dict.fromkeys(method for name in sets for method in published[name]))
    rows = []
    for name in sets:
        cells = [score_text(found, name, model) for model in models]
        figures = [published[name].get(method, "") for method in methods]
        rows.append([name, *cells, *figures])
    gains = [gain(found, sets, model) for model in models]
    rows.append([f"**{GAINS[metric]}**", *gains, *[""] * len(methods)])
    return markdown_table(["set", *models, *(f"{method}, published" for method in methods)], rows)


def score_text(found: Table, name: str, model: str) -> str:
    """Return the score of a model on a set, empty if there is none."""
    score = found.scores.get((name, model))
    if score is None:
        return ""
    digits = 1 if unit(found.metric) == 100.0 else 4
    mean = f"{score.mean:.{digits}f}"
    if np.isnan(score.std):
        return mean
    return f"{mean} ± {score.std:.{digits}f}"


def gain(found: Table, sets: Sequence[str], model: str) -> str:
    """Return what pretraining is worth to a checkpoint, over the sets that it and its twin have.

    The gain is the mean of paired differences in points of accuracy, or of the error that
    pretraining removes in percent of the twin's error. Its standard error is over sets.
    """
    twin = f"{model}{UNTRAINED}"
    differences = []
    for name in sets:
        if (name, model) not in found.scores or (name, twin) not in found.scores:
            continue
        trained = found.scores[name, model].mean
        untrained = found.scores[name, twin].mean
        if found.metric == "accuracy":
            differences.append(trained - untrained)
        else:
            differences.append(100 * (untrained - trained) / untrained)
    if not differences:
        return ""
    return str(mean_with_error(np.array(differences)))


def main() -> None:
    """Evaluate all cells that the file does not have."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, help="results file, .jsonl")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for run in RUNS:
            measure(run, args.data, args.out, Path(folder))


if __name__ == "__main__":
    main()
