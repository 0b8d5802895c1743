"""Tables of records: mean and standard deviation over seeds, beside the published numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np

from fei_sklearn.evaluation.choices import METRICS
from fei_sklearn.evaluation.published import published
from fei_sklearn.evaluation.results import ResultRecord

#: Metric -> heading, for the metrics that reports show as tables. The CSV has all metrics.
SHOWN = {
    "accuracy": "Accuracy, %",
    "f1": "Macro F1, %",
    "mse": "MSE",
    "mae": "MAE",
}

#: Protocol -> heading.
PROTOCOL_TITLES = {
    "linear": "linear evaluation",
    "finetune": "fine-tuning",
    "probe": "probe",
}

#: Prefix of the sets whose mean the paper gives, and name of that mean.
ARCHIVE_PREFIX = "UCR:"
ARCHIVE = "UCR"

T = TypeVar("T")

#: A set and a model.
Cell = tuple[str, str]


@dataclass(frozen=True)
class Score:
    """A metric of one model on one set.

    Attributes
    ----------
    mean, std : float
        Mean and sample standard deviation over seeds; the latter is NaN for one seed.
    n_seeds : int
        Number of seeds.
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
        Protocol, task and metric of the scores.
    settings : dict
        Settings of the scores, apart from the head.
    models : list of str
        Columns, in order of appearance.
    sets : list of str
        Rows, in order of appearance.
    scores : dict of (str, str) to Score
        Scores by set and model.
    """

    study: str | None
    protocol: str
    task: str
    metric: str
    settings: dict[str, Any]
    models: list[str] = field(default_factory=list)
    sets: list[str] = field(default_factory=list)
    scores: dict[Cell, Score] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Heading of the table."""
        words = []
        if self.study:
            words.append(f"Study {self.study}")
        protocol = PROTOCOL_TITLES.get(self.protocol, self.protocol)
        standardise = self.settings.get("standardise")
        words += [protocol, self.task, f"input standardised by {standardise}"]
        if self.settings.get("readout") == "paper":
            words.append("the paper's readout")
        most = self.settings.get("most")
        if most:
            words.append(f"at most {most} series trained on")
        n_labels = self.settings.get("labels")
        if n_labels is not None:
            whole = "per class" if self.task == "classification" else "in all"
            words.append(f"labels {whole}: {n_labels}")
        metric = SHOWN.get(self.metric, self.metric)
        return f"{', '.join(words)}: {metric}"

    def published(self, set_name: str) -> dict[str, float]:
        """Return the paper's numbers for a row, none beside heads that saw few labels."""
        if "labels" in self.settings:
            return {}
        return published(self.protocol, self.study, self.metric, set_name)

    def archive_sets(self) -> list[str]:
        """Return the UCR sets that all models have, or no set if there is one only."""
        sets = []
        for name in self.sets:
            if not name.startswith(ARCHIVE_PREFIX):
                continue
            if all((name, model) in self.scores for model in self.models):
                sets.append(name)
        if len(sets) < 2:
            return []
        return sets

    def mean_over(self, sets: list[str], model: str) -> float:
        """Return the mean score of a model over sets."""
        scores = [self.scores[name, model] for name in sets]
        mean = np.mean([score.mean for score in scores])
        return float(mean)

    def rows(self) -> list[str]:
        """Return the sets, and "UCR" last if the archive has a mean."""
        if self.archive_sets():
            return [*self.sets, ARCHIVE]
        return self.sets


def unit(metric: str) -> float:
    """Return the factor of a metric in tables: 100 for shares, which are shown in percent."""
    if metric in METRICS["regression"]:
        return 1.0
    return 100.0


def tables(records: Iterable[ResultRecord]) -> list[Table]:
    """Return one table per study, protocol, way of standardising, task and metric.

    Parameters
    ----------
    records : iterable of dict
        Records that `evaluate` or `read_results` returned.

    Returns
    -------
    list of Table
        Tables in order of appearance. Means and deviations are in percent, except for errors.
    """
    records = list(records)
    labels = _labels(records)
    found: dict[tuple[str, str], Table] = {}
    values: dict[tuple[str, str], dict[Cell, list[float]]] = {}
    for record in records:
        section = _section(record)
        model = labels[_identity(record)]
        cell = (record["set"], model)
        for metric in METRICS[record["task"]]:
            key = (section, metric)
            if key not in found:
                found[key] = _empty_table(record, metric)
                values[key] = {}
            table = found[key]
            _append_new(table.models, model)
            _append_new(table.sets, record["set"])
            value = unit(metric) * record["metrics"][metric]
            over_seeds = values[key].setdefault(cell, [])
            over_seeds.append(value)
    for key, table in found.items():
        for cell, over_seeds in values[key].items():
            table.scores[cell] = _score(over_seeds)
    return list(found.values())


def _section(record: ResultRecord) -> str:
    """Return what the records of a table share, apart from the metric."""
    shared = [
        record["study"],
        record["protocol"],
        record["task"],
        _table_settings(record),
    ]
    return json.dumps(shared, sort_keys=True)


def _table_settings(record: ResultRecord) -> dict[str, Any]:
    settings = dict(record["settings"])
    settings.pop("head", None)
    return settings


def _empty_table(record: ResultRecord, metric: str) -> Table:
    return Table(
        study=record["study"],
        protocol=record["protocol"],
        task=record["task"],
        metric=metric,
        settings=_table_settings(record),
    )


def _append_new(items: list[T], item: T) -> None:
    if item not in items:
        items.append(item)


def _score(over_seeds: list[float]) -> Score:
    n_seeds = len(over_seeds)
    mean = float(np.mean(over_seeds))
    std = float("nan")
    if n_seeds > 1:
        std = float(np.std(over_seeds, ddof=1))
    return Score(mean, std, n_seeds)


class _Identity(NamedTuple):
    """Fields that tell the models of records apart; the first two make a name."""

    study: str | None
    model: str
    fingerprint: str
    head: str


def _identity(record: ResultRecord) -> _Identity:
    return _Identity(
        study=record["study"],
        model=record["model"],
        fingerprint=record["fingerprint"],
        head=record["settings"].get("head", ""),
    )


def _labels(records: list[ResultRecord]) -> dict[_Identity, str]:
    """Return columns: names of models, completed where models of one name differ."""
    identities: list[_Identity] = []
    for record in records:
        _append_new(identities, _identity(record))
    labels = {}
    for identity in identities:
        namesakes = [other for other in identities if other[:2] == identity[:2]]
        heads = {other.head for other in namesakes if other.head}
        fingerprints = {other.fingerprint for other in namesakes}
        label = identity.model
        if identity.head and len(heads) > 1:
            label += f" ({identity.head})"
        if len(fingerprints) > 1:
            label += f" [{identity.fingerprint[:6]}]"
        labels[identity] = label
    return labels
