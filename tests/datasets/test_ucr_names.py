"""Names of the UCR archive's sets."""

from __future__ import annotations

from fei_sklearn.datasets._ucr_names import UCR_NAMES


def test_the_archive_has_128_sets():
    assert len(set(UCR_NAMES)) == 128
    assert all(name.isalnum() for name in UCR_NAMES)
