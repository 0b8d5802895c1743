"""The paper's numbers."""

from __future__ import annotations

from fei_sklearn.evaluation import STUDIES
from fei_sklearn.evaluation.published import METHODS, VARIANTS, published


def test_accuracies_of_fei_beside_random_initialisation():
    expected = {"Rand. Init.": 36.51, "FEI": 79.54}
    assert published("linear", None, "accuracy", "HAR") == expected
    assert published("probe", None, "accuracy", "HAR") == expected


def test_accuracies_of_all_methods_beside_rivals():
    assert published("finetune", "rivals", "accuracy", "EMG")["TimesURL"] == 73.17
    assert tuple(published("linear", "rivals", "accuracy", "UCR")) == METHODS


def test_accuracies_of_studies():
    assert published("linear", "ablation", "accuracy", "GES")["w/o mask prompt"] == 38.33
    assert published("linear", "masking", "accuracy", "FDB")["TDM"] == 54.02
    assert published("finetune", "masking", "accuracy", "FDB") == {}
    assert published("linear", "ratio", "accuracy", "GES") == {}
    for study, names in VARIANTS.items():
        assert len(names) == len(STUDIES[study])


def test_errors():
    assert published("finetune", None, "mae", "OC-A") == {"FEI": 0.185}
    assert published("linear", "ratio", "mse", "FD001") == {}


def test_nothing_is_published_for_other_sets_and_metrics():
    assert published("finetune", None, "accuracy", "HAR") == {}
    assert published("linear", None, "f1", "EPI") == {}
