"""Compiled loops, with and without a folder for compiled code."""

from __future__ import annotations

import numba
import numpy as np

from fei_sklearn.readout.compiling import compiled


def total(values):
    result = 0.0
    for value in values:
        result += value
    return result


def test_a_loop_is_compiled():
    loop = compiled()(total)
    assert loop(np.arange(4.0)) == 6.0
    assert loop.signatures


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
