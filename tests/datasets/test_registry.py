"""Registry of known sets: names, and where a missing set can be found."""

from __future__ import annotations

import pytest

from fei_sklearn.datasets import describe_dataset, list_datasets, load_dataset


@pytest.mark.parametrize("name", ["SLE", "GES", "CWRU", "FD003", "OC-B", "UCR:Wine"])
def test_a_missing_set_is_reported_with_its_source_and_its_place(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=r"https://\S+") as error:
        load_dataset(name, tmp_path)
    message = str(error.value)
    assert message.count(str(tmp_path)) >= 2
    assert "\n" not in message
    assert "https://" in describe_dataset(name)


def test_names_are_unique_and_have_aliases():
    names = list_datasets()
    assert len(names) == 16 + 128
    assert len(set(names)) == len(names)
    assert describe_dataset("opa").startswith("OC-A: ")
