"""Series per second of `transform`: checkpoints beside MiniRocket, MultiRocket and Hydra of aeon.

    VENV/bin/python benchmarks/peers_speed.py --length 512 --rounds 7 --out peers_speed.jsonl

VENV is an environment with aeon, see ``aeon_rockets.py``. One thread. All sides transform the same
noise in turn, round after round; figures are medians of CPU time, which does not count waiting for
a core.
"""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
from aeon_rockets import AeonRocket, Hydra
from minirocket import MiniRocket
from results import append_json, markdown_table
from timing import medians_in_turn
from ucr_sets import Transformer

from fei_sklearn import FEIEmbedder

#: Method whose speed is one in the table.
REFERENCE = "MiniRocket of aeon"


def transformers(X: np.ndarray) -> dict[str, Transformer]:
    """Return fitted transformers by title."""
    return {
        "`default`": FEIEmbedder(pretrained="default", n_jobs=1).fit(X),
        "`default`, small": FEIEmbedder(pretrained="default", pooling="small", n_jobs=1).fit(X),
        "MiniRocket of sktime": MiniRocket(0).fit(X),
        REFERENCE: AeonRocket("MiniRocket").fit(X),
        "MultiRocket": AeonRocket("MultiRocket").fit(X),
        "Hydra": Hydra().fit(X),
    }


def measure(args: argparse.Namespace) -> list[dict]:
    """Return a record of each method: its features, and its series per second."""
    series = np.random.default_rng(0).normal(size=(args.n, 1, args.length))
    X = series.astype(np.float32)
    fitted = transformers(X)
    # this call also compiles
    n_features = {title: of_title.transform(X).shape[1] for title, of_title in fitted.items()}
    sides = {title: partial(of_title.transform, X) for title, of_title in fitted.items()}
    records = []
    for title, seconds in medians_in_turn(sides, args.rounds).items():
        record = {"method": title, "features": n_features[title], "series/s": args.n / seconds}
        append_json(args.out, record)
        records.append(record)
    return records


def table(records: list[dict]) -> str:
    """Return the table of speeds, and their ratios to aeon's MiniRocket."""
    speeds = {record["method"]: record["series/s"] for record in records}
    rows = []
    for record in records:
        speed = record["series/s"]
        ratio = speed / speeds[REFERENCE]
        rows.append([record["method"], f"{record['features']:,}", f"{speed:.0f}", f"{ratio:.2f}"])
    return markdown_table(["transform", "features", "series/s", "ratio"], rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--n", type=int, default=256)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="JSON lines, one per method")
    print(table(measure(parser.parse_args())))


if __name__ == "__main__":
    main()
