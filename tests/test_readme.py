"""The README's code runs, block after block, as a reader would run it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
def test_the_code_runs():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 3
    namespace: dict = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), namespace)
    assert namespace["embeddings"].shape[0] == 67
    assert namespace["accuracy"] > 0.8
    assert namespace["mask_ratio"] in (0.3, 0.5, 0.7)
