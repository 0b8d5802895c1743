"""From records to tables: mean and spread over seeds, beside the published numbers."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from fei_sklearn.evaluation.published import published
from fei_sklearn.evaluation.results import ResultRecord

METRICS = {
    "classification": ("accuracy", "precision", "recall", "f1"),
    "regression": ("mse", "mae"),
}
#: Metrics that the report shows; the CSV has all.
SHOWN = {"accuracy": "Accuracy, %", "f1": "Macro F1, %", "mse": "MSE", "mae": "MAE"}

#: Prefix of the sets whose mean the paper gives.
ARCHIVE = "UCR:"


@dataclass(frozen=True)
class Score:
    """A metric of one model on one set.

    Attributes
    ----------
    mean, std : float
        Over seeds; the sample's standard deviation, NaN for one seed.
    n_seeds : int
        Seeds.
    """

    mean: float
    std: float
    n_seeds: int


@dataclass
class Table:
    """One metric under one protocol: sets by models.

    Attributes
    ----------
    study : str or None
        The study whose variants are the models.
    protocol, task, metric : str
        What was measured.
    settings : dict
        How, apart from the head.
    models : list of str
        Columns, in order of appearance.
    sets : list of str
        Rows, in order of appearance.
    scores : dict of (str, str) to Score
        By set and model.
    """

    study: str | None
    protocol: str
    task: str
    metric: str
    settings: dict[str, object]
    models: list[str] = field(default_factory=list)
    sets: list[str] = field(default_factory=list)
    scores: dict[tuple[str, str], Score] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Heading of the table."""
        protocols = {"linear": "linear evaluation", "finetune": "fine-tuning", "probe": "probe"}
        parts = [f"Study {self.study}"] if self.study else []
        parts += [protocols.get(self.protocol, self.protocol), self.task]
        parts += [f"input standardised by {self.settings.get('standardise')}"]
        parts += ["the paper's readout"] if self.settings.get("readout") == "paper" else []
        most = self.settings.get("most")
        parts += [f"at most {most} series trained on"] if most else []
        return ", ".join(parts) + f": {SHOWN.get(self.metric, self.metric)}"

    def published(self, set_name: str) -> dict[str, float]:
        """The paper's numbers for a row."""
        return published(self.protocol, self.study, self.metric, set_name)

    def archive_means(self) -> tuple[int, dict[str, float]]:
        """Number of UCR sets that all models have, if more than 1, and each model's mean."""
        sets = [s for s in self.sets if s.startswith(ARCHIVE)]
        sets = [s for s in sets if all((s, m) in self.scores for m in self.models)]
        if len(sets) < 2:
            return 0, {}
        return len(sets), {
            m: float(np.mean([self.scores[s, m].mean for s in sets])) for m in self.models
        }


def unit(metric: str) -> float:
    """What a metric is multiplied by in tables: 100 for shares, which are shown in percent."""
    return 1.0 if metric in METRICS["regression"] else 100.0


def tables(records: Iterable[ResultRecord]) -> list[Table]:
    """One table for each study, protocol, way of standardising, task and metric.

    Parameters
    ----------
    records : iterable of dict
        What `evaluate` returned or `read_results` read.

    Returns
    -------
    list of Table
        In order of appearance; means and deviations in percent but for errors.
    """
    records = list(records)
    labels = _labels(records)
    values: dict[tuple[str, str, str], dict[tuple[str, str], list[float]]]
    values = defaultdict(lambda: defaultdict(list))
    found: dict[tuple[str, str, str], Table] = {}
    for record in records:
        settings = {k: v for k, v in record["settings"].items() if k != "head"}
        section = json.dumps([record["study"], record["protocol"], settings], sort_keys=True)
        label = labels[_identity(record)]
        for metric in METRICS[record["task"]]:
            key = (section, record["task"], metric)
            table = found.setdefault(
                key,
                Table(record["study"], record["protocol"], record["task"], metric, settings),
            )
            for names, name in ((table.models, label), (table.sets, record["set"])):
                if name not in names:
                    names.append(name)
            values[key][record["set"], label].append(unit(metric) * record["metrics"][metric])
    for key, table in found.items():
        table.scores = {cell: _score(seen) for cell, seen in values[key].items()}
    return list(found.values())


def _score(seen: list[float]) -> Score:
    std = float(np.std(seen, ddof=1)) if len(seen) > 1 else float("nan")
    return Score(float(np.mean(seen)), std, len(seen))


def _identity(record: ResultRecord) -> tuple[str | None, str, str, str]:
    head = record["settings"].get("head", "")
    return (record["study"], record["model"], record["fingerprint"], head)


def _labels(records: list[ResultRecord]) -> dict[tuple[str | None, str, str, str], str]:
    """Columns: the model's name, with what tells it apart from others of that name."""
    identities = list(dict.fromkeys(map(_identity, records)))
    labels = {}
    for identity in identities:
        study, model, digest, head = identity
        same = [i for i in identities if i[:2] == (study, model)]
        several_heads = len({i[3] for i in same} - {""}) > 1 and head
        several_models = len({i[2] for i in same}) > 1
        labels[identity] = " ".join(
            [model]
            + ([f"({head})"] if several_heads else [])
            + ([f"[{digest[:6]}]"] if several_models else [])
        )
    return labels
