"""Choices of an evaluation by name."""

from __future__ import annotations

import pytest

from fei_sklearn.evaluation.choices import METRICS, PROTOCOLS, TASKS, check_choice
from fei_sklearn.evaluation.protocols import PAPER
from fei_sklearn.evaluation.tables import PROTOCOL_TITLES, SHOWN


def test_an_unknown_choice_is_named_with_the_allowed_ones():
    check_choice("protocol", "probe", PROTOCOLS)
    check_choice("task", None, (None, *TASKS))
    with pytest.raises(ValueError, match=r"protocol must be one of \['linear', .*, got None"):
        check_choice("protocol", None, PROTOCOLS)


def test_protocols_and_metrics_are_complete_everywhere():
    assert {*PAPER, "probe"} == set(PROTOCOLS)
    assert set(PROTOCOL_TITLES) == set(PROTOCOLS)
    for metrics in METRICS.values():
        assert set(metrics) & set(SHOWN)
