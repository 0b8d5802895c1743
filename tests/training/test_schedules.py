"""Schedules of momentum and learning rate."""

from __future__ import annotations

import pytest

from fei_sklearn.training.schedules import cosine_factor, decay_factor, momentum_at


def test_momentum_is_linear_from_its_start_to_one():
    momenta = [momentum_at(step, 4, start=0.6) for step in range(5)]
    assert momenta == pytest.approx([0.6, 0.7, 0.8, 0.9, 1.0])


def test_momentum_stays_at_one_after_the_run():
    assert momentum_at(9, 4, start=0.6) == 1.0
    assert momentum_at(0, 0, start=0.6) == 0.6


def test_cosine_warms_up_over_a_twentieth_of_the_run():
    factors = [cosine_factor(step, 60) for step in range(5)]
    assert factors[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert factors[4] < 1.0


@pytest.mark.parametrize("n_steps", [1, 2, 19, 60, 1000])
def test_cosine_is_positive_and_falls_after_the_warm_up(n_steps):
    factors = [cosine_factor(step, n_steps) for step in range(n_steps)]
    peak = factors.index(max(factors))
    assert all(0.0 < factor <= 1.0 for factor in factors)
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)


def test_cosine_ends_at_zero():
    assert cosine_factor(60, 60) == pytest.approx(0.0)
    assert cosine_factor(99, 60) == pytest.approx(0.0)


def test_decay_is_geometric():
    factors = [decay_factor(epoch, 0.9) for epoch in range(3)]
    assert factors == pytest.approx([1.0, 0.9, 0.81])
