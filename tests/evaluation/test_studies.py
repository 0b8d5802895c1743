"""Studies of the paper."""

from __future__ import annotations

import pytest

from fei_sklearn.evaluation import STUDIES
from fei_sklearn.evaluation.models import embedder_of


@pytest.mark.parametrize("study", STUDIES)
def test_every_variant_is_an_embedder_of_its_own_name(study):
    names = [name for name, _ in STUDIES[study]]
    assert len(set(names)) == len(names)
    for _, params in STUDIES[study]:
        embedder_of(params)
