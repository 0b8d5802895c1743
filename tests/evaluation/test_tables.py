"""Tables of records."""

from __future__ import annotations

import math

import pytest
from result_records import record, regression_record

from fei_sklearn.evaluation.tables import tables


def test_mean_and_sample_deviation_over_seeds_in_percent():
    records = [
        record(accuracy=0.90, seed=0),
        record(accuracy=0.92, seed=1),
        record(accuracy=0.97, seed=2),
    ]
    table, *_ = tables(records)
    score = table.scores["EPI", "mine"]
    assert score.mean == pytest.approx(93.0)
    assert score.std == pytest.approx(3.60555, abs=1e-4)
    assert score.n_seeds == 3


def test_one_seed_has_no_deviation_and_errors_are_not_in_percent():
    table, *_ = tables([regression_record(0.034, 0.145)])
    score = table.scores["FD001", "mine"]
    assert table.metric == "mse"
    assert score.mean == 0.034
    assert math.isnan(score.std)


def test_two_models_of_one_name_are_two_columns():
    records = [
        record(),
        record(fingerprint="b" * 16),
        record(model="other"),
    ]
    table, *_ = tables(records)
    assert table.models == ["mine [aaaaaa]", "mine [bbbbbb]", "other"]


def test_two_heads_of_one_model_are_two_columns():
    records = [
        record(settings={"head": "ridge"}),
        record(settings={"head": "logistic"}),
    ]
    table, *_ = tables(records)
    assert table.models == ["mine (ridge)", "mine (logistic)"]


def test_protocols_and_studies_are_tables_of_their_own():
    fewer = {"standardise": "time-index", "paper_protocol": True, "most": 500}
    records = [
        record(),
        record(protocol="finetune"),
        record(study="masking", variant="discrete", model="discrete"),
        record(settings=fewer),
    ]
    titles = [table.title for table in tables(records) if table.metric == "accuracy"]
    assert len(set(titles)) == 4
    assert titles[2].startswith("Study masking, linear evaluation")
    assert titles[3] == titles[0].replace(": A", ", at most 500 series trained on: A")


def test_the_archive_is_the_sets_that_all_models_have():
    records = [record(f"UCR:{name}") for name in "ABC"]
    records += [record(f"UCR:{name}", 0.6, model="other") for name in "AB"]
    table, *_ = tables(records)
    assert table.archive_sets() == ["UCR:A", "UCR:B"]
    assert table.mean_over(table.archive_sets(), "other") == pytest.approx(60.0)
    assert table.rows() == [*table.sets, "UCR"]


def test_one_set_is_no_archive():
    table, *_ = tables([record("UCR:A")])
    assert table.archive_sets() == []
    assert table.rows() == ["UCR:A"]


def test_numbers_of_labels_are_tables_of_their_own_without_published_numbers():
    settings = {"standardise": "model", "paper_protocol": True}
    records = [record(settings=settings), record(settings=settings | {"labels": 5})]
    every, few = (table for table in tables(records) if table.metric == "accuracy")
    assert few.title == every.title.replace(": A", ", labels per class: 5: A")
    assert every.published("EPI")
    assert few.published("EPI") == {}


def test_labels_of_targets_are_counted_in_all():
    settings = {"standardise": "model", "labels": 5}
    table, *_ = tables([regression_record(0.1, 0.2, settings=settings)])
    assert table.title.endswith(", labels in all: 5: MSE")
