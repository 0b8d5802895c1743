"""Entry point of ``python -m fei_sklearn``, which runs the command ``fei-sklearn``."""

from __future__ import annotations

import sys

from fei_sklearn.cli import main

if __name__ == "__main__":
    sys.exit(main())
