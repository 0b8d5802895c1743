"""Compiled loops, with and without a folder for compiled code."""

from __future__ import annotations

import numba
import numpy as np

from fei_sklearn.readout.compiling import compiled, inlined, internal


def total(values):
    result = 0.0
    for value in values:
        result += value
    return result


def test_a_loop_is_compiled():
    loop = compiled()(total)
    assert loop(np.arange(4.0)) == 6.0
    assert loop.signatures


@inlined
def halved(value):
    return value / 2


@internal(fastmath={"reassoc"})
def squared(value):
    return value * value


def test_a_loop_calls_what_is_inlined_and_its_parts():
    @compiled()
    def energy(values):
        result = 0.0
        for value in values:
            result += halved(squared(value))
        return result

    assert energy(np.arange(4.0)) == 7.0
    assert not halved.signatures  # it has no code of its own


def test_without_a_folder_it_is_compiled_all_the_same(monkeypatch):
    njit = numba.njit

    def without_folder(**options):
        if not options.get("cache"):
            return njit(**options)

        def decorate(loop):
            raise RuntimeError("cannot cache function: no locator available")

        return decorate

    monkeypatch.setattr(numba, "njit", without_folder)
    assert compiled()(total)(np.arange(4.0)) == 6.0
