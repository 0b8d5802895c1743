"""Ways to pretrain the front end of `default`, beside the same encoder before training.

    python benchmarks/front_pretraining.py DIR MODELS --most 200 --longest 1500 --out RECORDS

DIR holds ``.npz`` panels with the keys X_train, y_train, X_test, y_test. Every trained variant
starts from the weights of "untrained", takes a third of the recipe's steps, which show its corpus
once, and is calibrated on that corpus. MODELS is a folder that keeps the variants. Variants and
sets that RECORDS has are not measured again.

The families of the sets are dealt into two halves, in turn. A variant that was chosen on the first
half has to hold on the second.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from families import family, mean_with_error
from heads import ridge_accuracy
from results import append_json, is_measured, markdown_table, read_json
from short_embeddings import accuracy_on_one_scale
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from ucr_sets import Split, add_set_arguments, embed, sample_split, set_paths

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset, make_corpus
from fei_sklearn.readout.views import see
from fei_sklearn.recipes import RECIPES

RECIPE = RECIPES["default"]

#: Parameters of every fit. Axes are those of the panels, and one epoch is a third of the recipe.
PARAMS = RECIPE.params | {"n_components": None, "max_epochs": 1, "n_jobs": 1}

#: Standard deviations at which features are cut before their principal axes.
LARGEST_DEVIATION = 8.0

#: Readouts by title: how many numbers per series, None for all features of the default readout.
READOUTS = {"2,688 features": None, "256 numbers": 256, "64 numbers": 64}

#: Title and folder of the encoder before training.
UNTRAINED = "untrained"

#: Kernels of the front among a model's weights.
KERNELS = "encoder.front.bank.weight"


@dataclass(frozen=True)
class Variant:
    """Differences of a pretraining from the recipe.

    Attributes
    ----------
    params : dict
        Parameters of the embedder.
    n_runs : int
        Runs of different seeds whose weights are averaged.
    kernel_rate : float
        Learning rate of the kernels as a multiple of that of the other weights.
    views : tuple of str
        Views of the readout under which the series of the corpus are shown, by turns.
    """

    params: dict[str, object] = field(default_factory=dict)
    n_runs: int = 1
    kernel_rate: float = 1.0
    views: tuple[str, ...] = ("level",)


#: Parameters of an encoder with kernels of its own that is not trained.
OTHER_KERNELS = {"pretrained": None, "random_state": 1, "max_epochs": 0}

VARIANTS = {
    "none, other kernels": Variant(OTHER_KERNELS),
    "recipe": Variant(),
    "kernels x 10": Variant(kernel_rate=10.0),
    "kernels x 30": Variant(kernel_rate=30.0),
    "kernels x 10, time points": Variant({"mask_kind": "temporal"}, kernel_rate=10.0),
    "kernels x 10, bands": Variant({"mask_kind": "continuous"}, kernel_rate=10.0),
    "kernels x 10, views": Variant(views=("level", "change", "sum"), kernel_rate=10.0),
    "kernels x 10, time points, four runs averaged": Variant(
        {"mask_kind": "temporal"}, n_runs=4, kernel_rate=10.0
    ),
}


def under_views(corpus: np.ndarray, views: tuple[str, ...]) -> np.ndarray:
    """Return univariate series under one view each, by turns."""
    seen = np.empty_like(corpus)
    for index, view in enumerate(views):
        rows = slice(index, None, len(views))
        series = np.ascontiguousarray(corpus[rows, 0])
        lengths = np.full(len(series), series.shape[1])
        seen[rows, 0], _ = see(series, lengths, view)
    return seen


def save(embedder: FEIEmbedder, folder: Path) -> None:
    """Save a model without the scaling of its corpus."""
    embedder.offset_ = None
    embedder.scale_ = None
    embedder.stretch_ = None
    embedder.save(folder)


def make_untrained(models: Path, corpus: np.ndarray) -> None:
    """Save the encoder before training, from which every variant starts."""
    folder = models / UNTRAINED
    if not folder.exists():
        params = PARAMS | {"max_epochs": 0}
        save(FEIEmbedder(**params).fit(corpus), folder)


def with_smaller_kernels(folder: Path, divisor: float) -> FEIEmbedder:
    """Return a saved model with its kernels divided by a number.

    Batch norm follows the kernels, so that their size does not matter, and AdamW's steps do not
    depend on it. Steps turn kernels of a tenth of the size ten times as far.
    """
    embedder = FEIEmbedder.from_pretrained(folder)
    embedder.weights_[KERNELS] = embedder.weights_[KERNELS] / np.float32(divisor)
    return embedder


def run(variant: Variant, models: Path, corpus: np.ndarray, seed: int) -> FEIEmbedder:
    """Return a run of a variant."""
    start = models / "scratch"
    save(with_smaller_kernels(models / UNTRAINED, variant.kernel_rate), start)
    params = PARAMS | {"pretrained": start, "random_state": seed} | variant.params
    return FEIEmbedder(**params).fit(under_views(corpus, variant.views))


def averaged(runs: list[FEIEmbedder]) -> FEIEmbedder:
    """Return the last of several runs with the mean of their encoders' weights."""
    last = runs[-1]
    for name, array in last.weights_.items():
        if name.startswith("encoder."):
            mean = np.mean([one.weights_[name] for one in runs], axis=0)
            last.weights_[name] = mean.astype(array.dtype)
    return last


def calibrated(folder: Path, corpus: np.ndarray) -> FEIEmbedder:
    """Return a saved model with the batch norm and the thresholds of a corpus."""
    params = PARAMS | {"max_epochs": 0, "calibration": "panel"}
    return FEIEmbedder(**params).set_params(pretrained=folder).fit(corpus)


def make_model(title: str, models: Path, corpus: np.ndarray) -> None:
    """Pretrain a variant and save it, unless its folder is there."""
    folder = models / title
    if folder.exists():
        return
    variant = VARIANTS[title]
    runs = [run(variant, models, corpus, seed) for seed in range(variant.n_runs)]
    uncalibrated = models / "scratch"
    save(averaged(runs), uncalibrated)
    save(calibrated(uncalibrated, corpus), folder)


def directions(folder: Path) -> np.ndarray:
    """Return the kernels of a saved model, of mean zero and length one."""
    kernels = FEIEmbedder.from_pretrained(folder).weights_[KERNELS]
    centred = kernels - kernels.mean(axis=-1, keepdims=True)
    return centred / np.linalg.norm(centred, axis=-1, keepdims=True)


def turned(title: str, models: Path) -> float:
    """Return the mean angle in degrees between the kernels of a variant and their start."""
    cosines = (directions(models / title) * directions(models / UNTRAINED)).sum(axis=-1)
    angles = np.degrees(np.arccos(cosines.clip(-1.0, 1.0)))
    return float(angles.mean())


def on_axes(features: Split) -> Split:
    """Return features on the principal axes of their training part, the most that are read."""
    scaler = StandardScaler().fit(features.X_train)
    train = scaler.transform(features.X_train).clip(-LARGEST_DEVIATION, LARGEST_DEVIATION)
    test = scaler.transform(features.X_test).clip(-LARGEST_DEVIATION, LARGEST_DEVIATION)
    most = max(number for number in READOUTS.values() if number is not None)
    axes = PCA(min(most, len(train) - 1), svd_solver="full").fit(train)
    return features._replace(X_train=axes.transform(train), X_test=axes.transform(test))


def accuracies(features: Split) -> dict[str, float]:
    """Return the accuracy of every readout by title."""
    projected = on_axes(features)
    of_readouts = {}
    for title, number in READOUTS.items():
        if number is None:
            of_readouts[title] = ridge_accuracy(features)
            continue
        train = projected.X_train[:, :number]
        test = projected.X_test[:, :number]
        first = projected._replace(X_train=train, X_test=test)
        of_readouts[title] = accuracy_on_one_scale(first)
    return of_readouts


def measure_variant(title: str, args: argparse.Namespace) -> None:
    """Append the records of a variant: one per set that has none yet."""
    degrees = round(turned(title, args.models), 1)
    for path in set_paths(args):
        cell = {"variant": title, "set": path.stem}
        if is_measured(cell, read_json(args.out)):
            continue
        rng = np.random.default_rng(0)
        split = sample_split(load_dataset(path), rng, most_train=args.most, most_test=args.most)
        embedder = FEIEmbedder(pretrained=args.models / title, n_jobs=1).fit(split.X_train)
        features = embed(embedder, split)
        append_json(args.out, cell | {"degrees": degrees} | accuracies(features))


def halves(names: list[str]) -> list[list[str]]:
    """Return the names of sets in two halves of whole families."""
    families = sorted({family(name) for name in names})
    of_turns = [set(families[turn::2]) for turn in range(2)]
    return [[name for name in names if family(name) in of_turn] for of_turn in of_turns]


def table(records: list[dict]) -> str:
    """Return the table of differences to the untrained encoder in points, half by half."""
    by_cell = {(record["variant"], record["set"]): record for record in records}
    names = sorted({record["set"] for record in records})
    degrees = {record["variant"]: record["degrees"] for record in records}
    rows = []
    for variant in degrees:
        if variant == UNTRAINED:
            continue
        cells = [variant, f"{degrees[variant]}°"]
        for readout in READOUTS:
            for half in halves(names):
                trained = np.array([by_cell[variant, name][readout] for name in half])
                untrained = np.array([by_cell[UNTRAINED, name][readout] for name in half])
                cells.append(str(mean_with_error(100 * (trained - untrained))))
        rows.append(cells)
    columns = ["pretraining", "kernels turned by"]
    for readout in READOUTS:
        columns += [f"{readout}: first half", "second half"]
    return markdown_table(columns, rows)


def main() -> None:
    """Pretrain and measure every variant, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add_set_arguments(parser)
    parser.add_argument("models", type=Path)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    parser.add_argument("--most", type=int, help="series of each part")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, one per cell")
    args = parser.parse_args()
    series = make_corpus(RECIPE.n_series, RECIPE.n_timepoints, random_state=RECIPE.corpus_seed)
    corpus = series[:, np.newaxis]
    make_untrained(args.models, corpus)
    measure_variant(UNTRAINED, args)
    for title in args.variants:
        make_model(title, args.models, corpus)
        measure_variant(title, args)
    print(table(read_json(args.out)))


if __name__ == "__main__":
    main()
