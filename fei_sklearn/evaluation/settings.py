"""Settings of an evaluation: what changes a number apart from the model, checked and completed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

from fei_sklearn.evaluation.choices import (
    HEADS,
    PROTOCOLS,
    READOUTS,
    STANDARDISE,
    check_choice,
)
from fei_sklearn.evaluation.models import READOUT_PARAMS, Conditions, Model
from fei_sklearn.evaluation.sets import Folder, SetOptions

#: Heads of models that were published with another head than logistic regression.
DEFAULT_HEADS = {"minirocket": "ridge"}


@dataclass(frozen=True)
class Settings:
    """Settings that all cells of a run share.

    Attributes
    ----------
    protocol : {"linear", "finetune", "probe"}
        The protocol.
    head : {"logistic", "ridge"} or None
        Head of the probe for classes; None is the default head of each model.
    standardise : {"time-index", "model"}
        How the input is standardised.
    readout : {"paper", "model"}
        How series are embedded.
    paper_protocol : bool
        Cut the paper's sets as the paper does.
    most : int or None
        Largest number of series to train on, and to validate on.
    label : str or None
        Column of the labels of tables.
    n_labels : int or None
        Number of labels that the probe's head sees: per class, or in all for targets. None is all
        labels.
    """

    protocol: str
    head: str | None
    standardise: str
    readout: str
    paper_protocol: bool
    most: int | None
    label: str | None = None
    n_labels: int | None = None

    @property
    def per_time_index(self) -> bool:
        """Whether the input is standardised per time index."""
        return self.standardise == "time-index"

    def conditions(self, device: str, n_jobs: int | None) -> Conditions:
        """Return where models compute, and on what."""
        return Conditions(
            device=device,
            n_jobs=n_jobs,
            standardised=self.per_time_index,
            paper_readout=self.readout == "paper",
        )

    def set_options(self, data: Folder | None, task: str | None) -> SetOptions:
        """Return how the sets of a folder are loaded for a task."""
        return SetOptions(
            data=data,
            task=task,
            paper_protocol=self.paper_protocol,
            per_time_index=self.per_time_index,
            most=self.most,
            label=self.label,
        )

    def head_of(self, model: Model) -> str:
        """Return the probe's head for a model."""
        return self.head or DEFAULT_HEADS.get(model.name, "logistic")

    def per_labels(self, labels: Sequence[int] | None) -> list[Settings]:
        """Return these settings for each number of labels, or as they are for None.

        Parameters
        ----------
        labels : sequence of int or None
            Numbers of labels.

        Returns
        -------
        list of Settings
            Settings that differ in `n_labels` alone.

        Raises
        ------
        ValueError
            For anything but different whole numbers from 1, or if the protocol is not the probe.
        """
        if labels is None:
            return [self]
        if self.protocol != "probe":
            raise ValueError(
                f"labels={list(labels)} is for protocol='probe', not for {self.protocol!r}."
            )
        are_counts = all(isinstance(n, Integral) and n >= 1 for n in labels)
        if not labels or not are_counts or len(set(labels)) < len(labels):
            raise ValueError(
                f"labels must be different whole numbers, each at least 1, got {list(labels)}."
            )
        return [replace(self, n_labels=int(n_labels)) for n_labels in labels]

    def as_record(self, model: Model) -> dict[str, Any]:
        """Return the settings as the records of a model contain them."""
        settings: dict[str, Any] = {
            "standardise": self.standardise,
            "readout": self.readout,
            "paper_protocol": self.paper_protocol,
        }
        if self.most is not None:
            settings["most"] = self.most
        if self.label is not None:
            settings["label"] = self.label
        if self.n_labels is not None:
            settings["labels"] = self.n_labels
        if self.protocol == "probe":
            settings["head"] = self.head_of(model)
        return settings


def resolve_settings(
    *,
    protocol: str,
    head: str | None,
    standardise: str | None,
    readout: str | None,
    paper_protocol: bool | None,
    most: int | None,
    params: dict[str, Any],
    label: str | None = None,
) -> Settings:
    """Check the settings of `evaluate`, and replace None by the defaults of the protocol.

    Parameters
    ----------
    protocol, head, standardise, readout, paper_protocol, most, params, label
        As in :func:`fei_sklearn.evaluation.evaluate`.

    Returns
    -------
    Settings
        Complete settings.

    Raises
    ------
    ValueError
        For an unknown choice, or choices that contradict each other.
    """
    check_choice("protocol", protocol, PROTOCOLS)
    check_choice("head", head, (None, *HEADS))
    check_choice("standardise", standardise, (None, *STANDARDISE))
    check_choice("readout", readout, (None, *READOUTS))
    if head is not None and protocol != "probe":
        raise ValueError(f"head={head!r} is for protocol='probe', not for {protocol!r}.")
    if most is not None and most < 2:
        raise ValueError(f"most must be at least 2 series, got {most}.")
    readout_params = sorted(set(READOUT_PARAMS) & set(params))
    if readout == "paper" and readout_params:
        raise ValueError(
            f"readout='paper' fixes {readout_params[0]}, which params set as well: set one of the "
            "two."
        )
    as_paper = protocol != "probe"
    if standardise is None:
        standardise = "time-index" if as_paper else "model"
    if readout is None:
        readout = "paper" if as_paper and not readout_params else "model"
    if paper_protocol is None:
        paper_protocol = as_paper
    return Settings(
        protocol=protocol,
        head=head,
        standardise=standardise,
        readout=readout,
        paper_protocol=paper_protocol,
        most=most,
        label=label,
    )
