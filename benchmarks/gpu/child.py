"""Process of one part: ``python -m gpu.child module:function DEVICE AUTHORS RESULT``."""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from pathlib import Path

from gpu.report import FAILED, NOT_HERE, PASSED
from gpu.setting import NotOnThisDeviceError, setting_for


def main() -> None:
    """Do the work of a part, and write its verdict and its text."""
    work, device, authors, result = sys.argv[1:]
    verdict = PASSED
    try:
        text = _work(work)(setting_for(device, authors))
    except NotOnThisDeviceError as reason:
        verdict = NOT_HERE
        text = str(reason)
    except Exception as error:
        verdict = FAILED
        frames = "".join(traceback.format_tb(error.__traceback__))
        text = f"{type(error).__name__}: {error}\n\n```text\n{frames}```"
    # written beside the result and renamed, so that a result is whole
    unfinished = Path(result).with_suffix(".unfinished")
    unfinished.write_text(json.dumps({"verdict": verdict, "text": text}), encoding="utf-8")
    unfinished.rename(result)


def _work(name: str):
    """Return a function by the names of its module and itself."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


if __name__ == "__main__":
    main()
