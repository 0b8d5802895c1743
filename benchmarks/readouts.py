"""Which statistics, of which blocks, on which views: readouts of one encoder side by side.

    python benchmarks/readouts.py DIR --checkpoint fei-small --sets Wine Worms --most 150

DIR holds ``.npz`` panels with the keys X_train, y_train, X_test, y_test. Every readout gives
features to the head of checkpoints.py: standardised, a ridge whose penalty is chosen by leaving
one out. They enter a ridge through their inner products alone, so that each group of features is
computed once, and a readout is a sum of inner products.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path

import numpy as np
import torch
from checkpoints import some
from torch import Tensor

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset
from fei_sklearn.encoder.folding import fold_batch_norm
from fei_sklearn.encoder.maps import BlockMaps
from fei_sklearn.readout.pooling import proportion_above, view_of

ALPHAS = np.logspace(-3, 3, 10)
VIEWS = ("level", "shape", "change", "half", "sum", "autocorrelation")
TILE = 64
BLOCKS = range(8)


def standardised(x: Tensor) -> Tensor:
    return view_of(x, "shape")


def seen(x: Tensor, view: str) -> Tensor:
    """A view of the package's, or one that was tried beside them."""
    if view == "half":
        return torch.nn.functional.avg_pool1d(standardised(x), 2)
    if view == "sum":
        return standardised(standardised(x).cumsum(dim=-1))
    if view == "autocorrelation":
        n = x.shape[-1]
        spectrum = torch.fft.rfft(standardised(x), n=2 * n)
        return standardised(torch.fft.irfft(spectrum.abs() ** 2, n=2 * n)[..., 1:n])
    return view_of(x, view)


def stretched(x: np.ndarray, n_timepoints: int) -> Tensor:
    x = torch.from_numpy(x.astype(np.float32))
    if x.shape[-1] >= n_timepoints:
        return x
    return torch.nn.functional.interpolate(x, n_timepoints, mode="linear", align_corners=True)


def halves(m: BlockMaps, biases: Tensor) -> Tensor:
    """Shares above three of the biases in the first and in the second half."""
    return torch.cat([proportion_above(half, biases) for half in m.summed.chunk(2, dim=-1)], dim=1)


def statistics(m: BlockMaps, deciles: Tensor) -> dict[str, Tensor]:
    """Groups of features of a map, whose deciles over the training panel are given."""
    return {
        "mean": m.activated.mean(dim=-1),
        "max after GELU": m.activated.amax(dim=-1),
        "max": m.summed.amax(dim=-1),
        "min": m.summed.amin(dim=-1),
        "std": m.summed.std(dim=-1, correction=0),
        "ppv 5": proportion_above(m.summed, deciles[::2]),
        "ppv 9": proportion_above(m.summed, deciles),
        "ppv of halves": halves(m, deciles[2::2][:3]),
    }


def deciles_of(encoder: torch.nn.Module, x: Tensor) -> list[Tensor]:
    rows = np.unique(np.linspace(0, len(x) - 1, 64).astype(int))
    values = [
        m.summed.movedim(1, -1).reshape(-1, m.summed.shape[1]) for m in encoder.block_maps(x[rows])
    ]
    steps = torch.linspace(0.1, 0.9, 9)
    return [torch.quantile(v[:: -(-len(v) // 20_000)], steps, dim=0) for v in values]


@torch.inference_mode()
def features(encoder: torch.nn.Module, x: Tensor, deciles: list[Tensor]) -> dict[tuple, Tensor]:
    parts: dict[tuple, list[Tensor]] = {}
    for tile in x.split(TILE):
        for block, (m, d) in enumerate(zip(encoder.block_maps(tile), deciles, strict=True)):
            for name, values in statistics(m, d).items():
                parts.setdefault((block, name), []).append(values)
    return {key: torch.cat(values).double() for key, values in parts.items()}


def inner_products(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    centre, scale = train.mean(dim=0), train.std(dim=0, correction=0)
    kept = scale > 1e-10
    train, test = (((z - centre) / scale)[:, kept] for z in (train, test))
    return train @ train.T, test @ train.T


def ridge_accuracy(train: np.ndarray, test: np.ndarray, y: np.ndarray, y_test: np.ndarray) -> float:
    """Accuracy of scikit-learn's RidgeClassifierCV from inner products of centred features."""
    classes = np.unique(y)
    targets = np.where(y[:, None] == classes, 1.0, -1.0)
    centre = targets.mean(axis=0)
    values, vectors = np.linalg.eigh(train)
    constant = np.argmax(np.abs(vectors.sum(axis=0)))  # the intercept's own direction
    projected = vectors.T @ (targets - centre)
    errors, solutions = [], []
    for alpha in ALPHAS:
        weights = 1.0 / (np.maximum(values, 0.0) + alpha)
        weights[constant] = 0.0
        dual = vectors @ (weights[:, None] * projected)
        errors.append(((dual / (vectors**2 @ weights)[:, None]) ** 2).mean())
        solutions.append(dual)
    scores = test @ solutions[int(np.argmin(errors))] + centre
    return float((classes[scores.argmax(axis=1)] == y_test).mean())


Groups = Iterable[tuple[str, int, str]]


def of(statistics: Iterable[str], views: Iterable[str] = VIEWS[:3], blocks=BLOCKS) -> Groups:
    return list(product(views, blocks, statistics))


def nine(n_blocks: int, *more: str, in_halves: int = 0) -> Groups:
    """Nine biases in the first blocks, five in the others; shares of halves in the very first."""
    few = of(["ppv 5"], blocks=range(n_blocks, 8))
    halved = of(["ppv of halves"], blocks=range(in_halves))
    return [*of(["mean", "max", *more]), *of(["ppv 9"], blocks=range(n_blocks)), *few, *halved]


DEFAULT = nine(6, in_halves=4)
READOUTS: dict[str, Groups] = {
    "mean, max after GELU, ppv 5": of(["mean", "max after GELU", "ppv 5"]),
    "mean, max, ppv 5": of(["mean", "max", "ppv 5"]),
    "mean, max, std, ppv 5": of(["mean", "max", "std", "ppv 5"]),
    "mean, max, ppv 9": nine(8),
    "mean, max, ppv 9 in two stages, 5 after": nine(4),
    "mean, max, ppv 9 in three stages, 5 after": nine(6),
    "and ppv of halves in one stage": nine(6, in_halves=2),
    "and ppv of halves in two stages (default)": DEFAULT,
    "and ppv of halves in three stages": nine(6, in_halves=6),
    "and ppv of halves in all stages": nine(6, in_halves=8),
    "default and min": nine(6, "min", in_halves=4),
    "default without max": [group for group in DEFAULT if group[2] != "max"],
    "default without level": [group for group in DEFAULT if group[0] != "level"],
    "default without shape": [group for group in DEFAULT if group[0] != "shape"],
    "default without change": [group for group in DEFAULT if group[0] != "change"],
    **{
        f"default and {view}": [*DEFAULT, *((view, b, s) for v, b, s in DEFAULT if v == "level")]
        for view in VIEWS[3:]
    },
    "the paper's": [("level", 7, "mean")],
}


def scores(encoder: torch.nn.Module, panel: Callable[[], tuple], n_timepoints: int) -> list[float]:
    """Accuracy of every readout on one set."""
    X, y, X_test, y_test = panel()
    centre, scale = X.mean(), X.std()
    parts = [stretched((part - centre) / scale, n_timepoints) for part in (X, X_test)]
    products = {}
    for view in VIEWS:
        train, test = (seen(part, view) for part in parts)
        deciles = deciles_of(encoder, train)
        groups = [features(encoder, part, deciles) for part in (train, test)]
        for key in groups[0]:
            products[view, *key] = inner_products(groups[0][key], groups[1][key])
    sums = [
        [sum(products[g][i] for g in groups).numpy() for i in (0, 1)]
        for groups in READOUTS.values()
    ]
    return [ridge_accuracy(*pair, y, y_test) for pair in sums]


@torch.inference_mode()
def main() -> None:
    """Print each readout's accuracy, its mean difference from the default, and that one's error."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--checkpoint", default="fei-small")
    parser.add_argument("--sets", nargs="+", help="names; default: all in the folder")
    parser.add_argument("--most", type=int, default=150, help="series of each part")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = FEIEmbedder.from_pretrained(args.checkpoint)
    encoder = fold_batch_norm(model.encoder_)
    table = []
    for name in args.sets or sorted(path.stem for path in args.folder.glob("*.npz")):
        data = load_dataset(args.folder / f"{name}.npz")
        rng = np.random.default_rng(0)

        def panel(data=data, rng=rng) -> tuple:
            most = args.most if data.X_train.shape[-1] <= 1000 else args.most // 2
            return (
                *some(data.X_train, data.y_train, most, None, rng),
                *some(data.X_test, data.y_test, most, None, rng),
            )

        table.append(scores(encoder, panel, model.min_timepoints_ or 2))
        print(f"# {name}: " + " ".join(f"{value:.3f}" for value in table[-1]), flush=True)
    accuracy = np.array(table)
    gain = accuracy - accuracy[:, [list(READOUTS.values()).index(DEFAULT)]]
    error = gain.std(axis=0) / np.sqrt(len(gain))
    print("| readout | accuracy | against the default |\n|---|---|---|")
    for i, name in enumerate(READOUTS):
        print(
            f"| {name} | {accuracy[:, i].mean():.4f} | {gain[:, i].mean():+.4f} ± {error[i]:.4f} |"
        )


if __name__ == "__main__":
    main()
