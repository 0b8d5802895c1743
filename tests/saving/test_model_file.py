"""Files of models: the same bytes each time, a checksum over everything, a size by the header."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numbered_models import numbered
from safetensors.numpy import load

from fei_sklearn._saving.model_file import digest, encode, split_model, stated_size


def test_the_metadata_hold_the_configuration_and_the_checksum():
    config, weights = numbered(7)
    model = encode(config, weights)
    text, table, data = split_model(model)
    assert json.loads(text) == config | {"sha256": digest(config, table, data)}
    for name, array in load(model).items():
        np.testing.assert_array_equal(array, weights[name], strict=True)


def test_the_order_of_an_array_in_memory_has_no_effect():
    values = np.arange(6.0).reshape(2, 3)
    assert encode({}, {"a": values}) == encode({}, {"a": np.asfortranarray(values)})


def test_a_checksum_covers_configuration_and_contents_but_not_itself():
    checksum = digest({"a": 1}, b"weights")
    assert digest({"a": 1, "sha256": checksum}, b"weights") == checksum
    assert digest({"a": 1}, b"wei", b"ghts") == checksum
    assert digest({"a": 2}, b"weights") != checksum
    assert digest({"a": 1}, b"weighty") != checksum


def test_the_header_states_the_size():
    model = encode(*numbered(7))
    _, _, data = split_model(model)
    header = model[: len(model) - len(data)]
    assert stated_size(header) == len(model)


@pytest.mark.parametrize("start", [b"", b"8 bytes {", b"8 bytes []", b'8 bytes {"a": 1}'])
def test_a_header_that_is_none_states_no_size(start):
    assert stated_size(start) is None
