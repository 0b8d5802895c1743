"""Readouts of one encoder side by side: which statistics, of which blocks, on which views.

    python benchmarks/readouts.py DIR --checkpoint fei-small --most 150 --out RECORDS

DIR holds ``.npz`` panels with the keys X_train, y_train, X_test, y_test. Every readout gives
features to the ridge head of all benchmarks, whose penalty is chosen by leaving one out. Features
enter a ridge through their inner products alone, so each group of features is computed once, and a
readout is a sum of inner products. A second run measures what the file of records lacks.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from families import compare
from heads import PENALTIES
from results import append_json, by_title, is_measured, markdown_table, read_json
from torch import Tensor
from ucr_sets import Split, add_set_arguments, sample_split, set_paths

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset
from fei_sklearn.encoder.folding import fold_batch_norm
from fei_sklearn.encoder.maps import BlockMaps
from fei_sklearn.readout.statistics import proportion_above
from fei_sklearn.readout.views_torch import view_of

VIEWS = ("level", "shape", "change", "half", "sum", "autocorrelation")
N_BLOCKS = 8
#: Rows that are embedded at once.
TILE = 64


class Group(NamedTuple):
    """A statistic of the maps of a block on a view: a group of features."""

    view: str
    block: int
    statistic: str


def standardised(x: Tensor) -> Tensor:
    return view_of(x, "shape")


def view_or_trial(x: Tensor, view: str) -> Tensor:
    """Return a view of the package, or one that was tried beside them."""
    if view == "half":
        return torch.nn.functional.avg_pool1d(standardised(x), 2)
    if view == "sum":
        sums = standardised(x).cumsum(dim=-1)
        return standardised(sums)
    if view == "autocorrelation":
        n = x.shape[-1]
        spectrum = torch.fft.rfft(standardised(x), n=2 * n)
        autocorrelation = torch.fft.irfft(spectrum.abs() ** 2, n=2 * n)
        return standardised(autocorrelation[..., 1:n])
    return view_of(x, view)


def stretched(series: np.ndarray, n_timepoints: int) -> Tensor:
    x = torch.from_numpy(series.astype(np.float32))
    if x.shape[-1] >= n_timepoints:
        return x
    return torch.nn.functional.interpolate(x, n_timepoints, mode="linear", align_corners=True)


def shares_of_halves(maps: BlockMaps, biases: Tensor) -> Tensor:
    """Return the shares above biases in the first and in the second half."""
    halves = maps.summed.chunk(2, dim=-1)
    return torch.cat([proportion_above(half, biases) for half in halves], dim=1)


def statistics(maps: BlockMaps, deciles: Tensor) -> dict[str, Tensor]:
    """Return groups of features of a map, given its deciles over the training panel."""
    three_quantiles = deciles[2::2][:3]
    return {
        "mean": maps.activated.mean(dim=-1),
        "max after GELU": maps.activated.amax(dim=-1),
        "max": maps.summed.amax(dim=-1),
        "min": maps.summed.amin(dim=-1),
        "std": maps.summed.std(dim=-1, correction=0),
        "ppv 5": proportion_above(maps.summed, deciles[::2]),
        "ppv 9": proportion_above(maps.summed, deciles),
        "ppv of halves": shares_of_halves(maps, three_quantiles),
    }


def deciles_of(encoder: torch.nn.Module, x: Tensor) -> list[Tensor]:
    """Return the deciles of each block's maps, from 64 series and about 20,000 values."""
    rows = np.unique(np.linspace(0, len(x) - 1, 64).astype(int))
    probabilities = torch.linspace(0.1, 0.9, 9)
    deciles = []
    for maps in encoder.block_maps(x[rows]):
        n_features = maps.summed.shape[1]
        values = maps.summed.movedim(1, -1).reshape(-1, n_features)
        step = -(-len(values) // 20_000)
        deciles.append(torch.quantile(values[::step], probabilities, dim=0))
    return deciles


@torch.inference_mode()
def features(
    encoder: torch.nn.Module, x: Tensor, deciles: list[Tensor]
) -> dict[tuple[int, str], Tensor]:
    """Return the features of each block and statistic."""
    tiles: dict[tuple[int, str], list[Tensor]] = {}
    for tile in x.split(TILE):
        blocks = zip(encoder.block_maps(tile), deciles, strict=True)
        for block, (maps, block_deciles) in enumerate(blocks):
            for name, values in statistics(maps, block_deciles).items():
                tiles.setdefault((block, name), []).append(values)
    return {key: torch.cat(values).double() for key, values in tiles.items()}


def inner_products(train: Tensor, test: Tensor) -> np.ndarray:
    """Return inner products of standardised features, training rows above test rows."""
    centre = train.mean(dim=0)
    scale = train.std(dim=0, correction=0)
    is_kept = scale > 1e-10
    train = ((train - centre) / scale)[:, is_kept]
    test = ((test - centre) / scale)[:, is_kept]
    return torch.cat([train @ train.T, test @ train.T]).numpy()


def ridge_accuracy(products: np.ndarray, y: np.ndarray, y_test: np.ndarray) -> float:
    """Return the accuracy of scikit-learn's RidgeClassifierCV from inner products."""
    train = products[: len(y)]
    test = products[len(y) :]
    classes = np.unique(y)
    targets = np.where(y[:, np.newaxis] == classes, 1.0, -1.0)
    centre = targets.mean(axis=0)
    values, vectors = np.linalg.eigh(train)
    constant = np.argmax(np.abs(vectors.sum(axis=0)))  # the intercept's own direction
    projected = vectors.T @ (targets - centre)
    errors = []
    solutions = []
    for penalty in PENALTIES:
        weights = 1.0 / (np.maximum(values, 0.0) + penalty)
        weights[constant] = 0.0
        dual = vectors @ (weights[:, np.newaxis] * projected)
        leverage = vectors**2 @ weights
        residuals = dual / leverage[:, np.newaxis]
        errors.append((residuals**2).mean())
        solutions.append(dual)
    best = solutions[int(np.argmin(errors))]
    scores = test @ best + centre
    predicted = classes[scores.argmax(axis=1)]
    return float((predicted == y_test).mean())


def groups_of(
    statistics: Iterable[str], views: Iterable[str] = VIEWS[:3], blocks: Iterable[int] = range(8)
) -> list[Group]:
    return [Group(*key) for key in product(views, blocks, statistics)]


def with_nine_biases(n_blocks: int, *more: str, in_halves: int = 0) -> list[Group]:
    """Return nine biases in the first blocks and five after; shares of halves in the very first."""
    return [
        *groups_of(["mean", "max", *more]),
        *groups_of(["ppv 9"], blocks=range(n_blocks)),
        *groups_of(["ppv 5"], blocks=range(n_blocks, N_BLOCKS)),
        *groups_of(["ppv of halves"], blocks=range(in_halves)),
    ]


def default_without(view: str) -> list[Group]:
    return [group for group in DEFAULT if group.view != view]


def default_and(view: str) -> list[Group]:
    level = [group for group in DEFAULT if group.view == "level"]
    return [*DEFAULT, *(group._replace(view=view) for group in level)]


DEFAULT = with_nine_biases(6, in_halves=4)
DEFAULT_TITLE = "and ppv of halves in two stages (default)"

READOUTS = {
    "mean, max after GELU, ppv 5": groups_of(["mean", "max after GELU", "ppv 5"]),
    "mean, max, ppv 5": groups_of(["mean", "max", "ppv 5"]),
    "mean, max, std, ppv 5": groups_of(["mean", "max", "std", "ppv 5"]),
    "mean, max, ppv 9": with_nine_biases(8),
    "mean, max, ppv 9 in two stages, 5 after": with_nine_biases(4),
    "mean, max, ppv 9 in three stages, 5 after": with_nine_biases(6),
    "and ppv of halves in one stage": with_nine_biases(6, in_halves=2),
    DEFAULT_TITLE: DEFAULT,
    "and ppv of halves in three stages": with_nine_biases(6, in_halves=6),
    "and ppv of halves in all stages": with_nine_biases(6, in_halves=8),
    "default and min": with_nine_biases(6, "min", in_halves=4),
    "default without max": [group for group in DEFAULT if group.statistic != "max"],
    "default without level": default_without("level"),
    "default without shape": default_without("shape"),
    "default without change": default_without("change"),
    "default and half": default_and("half"),
    "default and sum": default_and("sum"),
    "default and autocorrelation": default_and("autocorrelation"),
    "the paper's": [Group("level", 7, "mean")],
}


def accuracies(encoder: torch.nn.Module, split: Split, n_timepoints: int) -> dict[str, float]:
    """Return the accuracy of every readout on one set by title."""
    centre = split.X_train.mean()
    scale = split.X_train.std()
    X_train = stretched((split.X_train - centre) / scale, n_timepoints)
    X_test = stretched((split.X_test - centre) / scale, n_timepoints)
    products: dict[Group, np.ndarray] = {}
    for view in VIEWS:
        train_view = view_or_trial(X_train, view)
        test_view = view_or_trial(X_test, view)
        deciles = deciles_of(encoder, train_view)
        train = features(encoder, train_view, deciles)
        test = features(encoder, test_view, deciles)
        for block, statistic in train:
            key = (block, statistic)
            products[Group(view, *key)] = inner_products(train[key], test[key])
    scores = {}
    for title, groups in READOUTS.items():
        total = sum(products[group] for group in groups)
        scores[title] = ridge_accuracy(total, split.y_train, split.y_test)
    return scores


def draw_split(path: Path, most: int) -> Split:
    """Draw from both parts of a set, half the number if its series are long."""
    dataset = load_dataset(path)
    rng = np.random.default_rng(0)
    if dataset.X_train.shape[-1] > 1000:
        most = most // 2
    return sample_split(dataset, rng, most_train=most, most_test=most)


def table(records: list[dict]) -> str:
    """Return means over the sets, and differences to the default in points."""
    accuracy = by_title(records)
    rows = []
    for title in READOUTS:
        cells = compare(accuracy[title], accuracy[DEFAULT_TITLE])
        rows.append([title, *cells.values()])
    columns = ["readout", "accuracy", "over sets", "over families", "won", "lost"]
    return markdown_table(columns, rows)


@torch.inference_mode()
def main() -> None:
    """Measure every set, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add_set_arguments(parser)
    parser.add_argument("--checkpoint", default="fei-small")
    parser.add_argument("--most", type=int, default=150, help="series of each part")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, one per set")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = FEIEmbedder.from_pretrained(args.checkpoint)
    encoder = fold_batch_norm(model.encoder_)
    n_timepoints = model.min_timepoints_ or 2
    records = read_json(args.out)
    for path in set_paths(args):
        cell = {"set": path.stem}
        if not is_measured(cell, records):
            split = draw_split(path, args.most)
            append_json(args.out, cell | accuracies(encoder, split, n_timepoints))
    print(table(read_json(args.out)))


if __name__ == "__main__":
    main()
