"""The paper's numbers, printed beside measured ones.

The numbers are those of Fu and Hu (AAAI 2025) and its appendix, accuracies in percent. The authors
pretrained on SleepEEG and used splits of their own. Where a set here is a substitute or is split in
another way, its numbers and the published ones do not measure the same thing.
"""

from __future__ import annotations

Accuracies = tuple[float, ...]

#: MSE and MAE.
Errors = tuple[float, float]

#: Caveat that reports print.
NOTE = (
    "Published numbers are those of Fu and Hu (AAAI 2025), whose models were pretrained on "
    "SleepEEG. Sets that are substitutes, other splits or other corpora are not the paper's data: "
    "such numbers stand side by side, but do not measure the same thing. Published precision and "
    "recall are interchanged and are not shown."
)

METHODS = (
    "Rand. Init.",
    "TS2Vec",
    "TimeDRL",
    "TF-C",
    "TimesURL",
    "SimMTM",
    "InfoTS",
    "FEI",
)

#: Methods whose numbers are shown outside of studies.
SHOWN_METHODS = ("Rand. Init.", "FEI")

#: Protocol -> set -> accuracy in percent, in the order of METHODS.
ACCURACY: dict[str, dict[str, Accuracies]] = {
    "linear": {
        "GES": (12.50, 63.33, 50.00, 57.50, 69.72, 74.17, 64.17, 75.00),
        "FDB": (11.39, 43.59, 40.63, 45.53, 54.44, 60.74, 60.71, 67.25),
        "EMG": (46.34, 92.68, 63.41, 78.05, 92.68, 85.37, 87.80, 87.80),
        "EPI": (19.79, 96.41, 77.85, 85.75, 95.42, 96.42, 96.27, 96.84),
        "HAR": (36.51, 78.91, 70.31, 67.56, 79.10, 77.13, 78.35, 79.54),
        "UCR": (39.03, 72.50, 61.61, 61.88, 69.53, 75.34, 73.13, 78.17),
    },
    "finetune": {
        "GES": (68.33, 72.50, 66.67, 70.00, 73.33, 76.67, 71.67, 77.50),
        "FDB": (69.61, 48.31, 47.97, 65.48, 54.41, 63.49, 62.99, 70.99),
        "EMG": (95.12, 78.05, 78.05, 92.68, 73.17, 87.80, 97.56, 97.56),
        "EPI": (80.21, 95.60, 94.05, 95.28, 96.67, 96.22, 97.07, 97.24),
        "UCR": (75.44, 67.44, 63.36, 78.50, 79.41, 80.42, 81.78, 82.65),
    },
}

#: Protocol -> method -> set -> errors.
ERRORS: dict[str, dict[str, dict[str, Errors]]] = {
    "linear": {
        "Rand. Init.": {
            "FD001": (0.065, 0.233),
            "FD003": (0.048, 0.196),
            "FD004": (0.079, 0.265),
        },
        "FEI": {
            "FD001": (0.034, 0.145),
            "FD002": (0.099, 0.284),
            "FD003": (0.033, 0.132),
            "FD004": (0.068, 0.236),
            "OC-A": (0.104, 0.261),
            "OC-B": (0.108, 0.216),
            "OC-C": (0.011, 0.047),
        },
    },
    "finetune": {
        "FEI": {
            "OC-A": (0.063, 0.185),
            "OC-B": (0.026, 0.110),
            "OC-C": (0.011, 0.050),
        },
    },
}

#: Study -> set -> accuracy in percent of linear evaluation, in the order of VARIANTS.
STUDY_ACCURACY: dict[str, dict[str, Accuracies]] = {
    "ablation": {
        "GES": (75.00, 63.33, 38.33, 45.00, 71.67, 75.00, 71.67),
        "FDB": (67.25, 34.49, 37.46, 54.28, 59.00, 65.15, 63.04),
        "EPI": (96.84, 94.44, 95.64, 95.20, 95.15, 96.04, 95.12),
        "HAR": (79.54, 75.06, 68.44, 74.92, 78.25, 78.01, 77.37),
    },
    "masking": {
        "GES": (75.00, 71.67, 79.17),
        "FDB": (67.25, 60.65, 54.02),
        "EMG": (87.80, 87.80, 73.17),
        "EPI": (96.84, 96.39, 94.26),
        "HAR": (79.54, 78.59, 78.62),
    },
}

#: Study -> the paper's names of the variants.
VARIANTS = {
    "ablation": (
        "FEI",
        "w/o embedding inference",
        "w/o mask prompt",
        "w/o momentum",
        "w/o subspace",
        "w/o mask inference",
        "w/o detach",
    ),
    "masking": ("DFM", "CFM", "TDM"),
}


def published(
    protocol: str,
    study: str | None,
    metric: str,
    set_name: str,
) -> dict[str, float]:
    """Return the paper's numbers for a set.

    Parameters
    ----------
    protocol : {"linear", "finetune", "probe"}
        The protocol. The probe is compared with linear evaluation.
    study : str or None
        For "ablation" and "masking" the paper's variants; for "rivals" all methods; for None FEI
        and random initialisation.
    metric : {"accuracy", "f1", "mse", "mae"}
        The metric.
    set_name : str
        Name of the set, "UCR" for the mean over the archive.

    Returns
    -------
    dict of str to float
        Numbers by method or variant, in the unit of the tables: percent for accuracy. The result
        is empty where nothing is published.
    """
    if protocol == "probe":
        protocol = "linear"
    if metric in ("mse", "mae"):
        return _errors(protocol, study, metric, set_name)
    if metric != "accuracy":
        return {}
    if study in STUDY_ACCURACY:
        return _study_accuracies(protocol, study, set_name)
    return _accuracies(protocol, study, set_name)


def _errors(
    protocol: str,
    study: str | None,
    metric: str,
    set_name: str,
) -> dict[str, float]:
    if study not in (None, "rivals"):
        return {}
    columns = ("mse", "mae")
    column = columns.index(metric)
    methods = ERRORS.get(protocol, {})
    errors = {}
    for method, sets in methods.items():
        if set_name in sets:
            errors[method] = sets[set_name][column]
    return errors


def _study_accuracies(protocol: str, study: str, set_name: str) -> dict[str, float]:
    sets = STUDY_ACCURACY[study]
    values = sets.get(set_name)
    if protocol != "linear" or values is None:
        return {}
    return dict(zip(VARIANTS[study], values, strict=True))


def _accuracies(protocol: str, study: str | None, set_name: str) -> dict[str, float]:
    sets = ACCURACY.get(protocol, {})
    values = sets.get(set_name)
    if study not in (None, "rivals") or values is None:
        return {}
    accuracies = dict(zip(METHODS, values, strict=True))
    if study == "rivals":
        return accuracies
    return {method: accuracies[method] for method in SHOWN_METHODS}
