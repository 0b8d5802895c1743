"""Form of a ridge head: references and lags are known values."""

from __future__ import annotations

import numpy as np

from fei_sklearn.adapters._head_design import DIFFERENCES, HeadDesign


def reference(difference, sp, steps):
    windows = np.array([10.0, 20.0, 30.0, 11.0, 22.0, 33.0])
    design = HeadDesign(difference, sp, None, 1.0)
    return design.reference(windows, np.array(steps)).tolist()


def test_references_are_known_values():
    assert reference("none", 1, [1, 2]) == [21.0, 21.0]
    assert reference("first", 1, [1, 9]) == [33.0, 33.0]
    assert reference("seasonal", 3, [1, 2, 3, 4]) == [11.0, 22.0, 33.0, 11.0]
    assert reference("both", 3, [1, 3, 4]) == [14.0, 36.0, 17.0]


def test_lags_are_the_latest_differences():
    windows = np.array([[1.0, 2.0, 4.0, 11.0, 14.0, 20.0]])
    lags = {
        (d, n): HeadDesign(d, 3, n, 1.0).lags(windows).tolist()[0]
        for d in DIFFERENCES
        for n in (0, 2)
    }
    assert all(not values for (_, n), values in lags.items() if n == 0)
    assert lags["first", 2] == [-9.0, -6.0]
    assert lags["seasonal", 2] == [12.0, 16.0]
    assert lags["both", 2] == [-6.0, -4.0]
