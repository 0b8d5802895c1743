"""Numbers that users pass: booleans are none, and counts are integers."""

from __future__ import annotations

import numpy as np
import pytest
from quick import quick, walks

from fei_sklearn._input.numbers import check_count


@pytest.mark.parametrize(
    "name",
    [
        *("stride", "n_targets", "momentum", "max_epochs", "min_epoch_steps", "batch_size"),
        *("learning_rate", "lr_decay", "n_iter_no_change", "n_devices", "n_jobs"),
    ],
)
@pytest.mark.parametrize("value", [True, np.True_])
def test_booleans_are_no_numbers(name, value):
    with pytest.raises(ValueError, match=rf"'{name}' parameter.*True"):
        quick(**{name: value}).fit(walks())


@pytest.mark.parametrize("bad", ["a", 2.5, None, True, np.True_])
def test_counts_are_integers(bad):
    with pytest.raises(TypeError, match=r"^n_rows must be an integer, got "):
        check_count("n_rows", bad, 1)


@pytest.mark.parametrize("value", [1, np.int64(7)])
def test_integers_from_the_least_on_are_counts(value):
    check_count("n_rows", value, 1)
    with pytest.raises(ValueError, match=r"^n_rows must be at least 8, got "):
        check_count("n_rows", value, 8)
