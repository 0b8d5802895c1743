"""``fei-sklearn embed``: embeddings of a dataset's parts, in a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fei_sklearn.cli import cluster
from fei_sklearn.cli.arguments import Commands, add_data, add_machine, split_names
from fei_sklearn.cli.embedding_files import Embedded, check_out, write_embeddings
from fei_sklearn.cli.messages import DONE, failing
from fei_sklearn.evaluation.choices import STANDARDISE
from fei_sklearn.readout.spec import LAYERS

if TYPE_CHECKING:
    from fei_sklearn import FEIEmbedder
    from fei_sklearn.datasets import Dataset
    from fei_sklearn.evaluation.models import SavedModel

PARTS = ("train", "val", "test")


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "embed",
        help="embed a dataset with a model",
        description="Embed the series of a dataset with a saved model. The file has the "
        "embeddings, the part of each series, and the labels if all series have one.",
    )
    parser.add_argument("model", metavar="MODEL", help="folder of a saved model, or its name")
    add_data(parser)
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help=".npz, .csv or .parquet file; with --dask a .zarr folder, which is resumed",
    )
    parser.add_argument(
        "--part", choices=(*PARTS, "all"), default="all", help="part to embed (default: all)"
    )
    parser.add_argument(
        "--pooling", help="mean, max, std, ppv, several with commas (default: the model's)"
    )
    parser.add_argument("--layers", choices=LAYERS, help="(default: the model's)")
    parser.add_argument(
        "--views", help="level, shape, change, several with commas (default: the model's)"
    )
    parser.add_argument(
        "--standardise",
        choices=STANDARDISE,
        default="model",
        help="per time index of the training part, or by the model's own scaling (default)",
    )
    parser.add_argument(
        "--paper-protocol", action="store_true", help="cut the paper's sets as the paper does"
    )
    add_machine(parser)
    parser.add_argument(
        "--n-devices",
        default=1,
        type=_number_of_devices,
        metavar="N",
        help="devices that share the series, or auto for all CUDA devices (default: 1)",
    )
    parser.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="scheduler of a dask cluster, or local for one worker per core. DATA is then a .npy "
        "file or the folder of a zarr array, of any size, which all workers can read",
    )
    parser.set_defaults(run=run)


def _number_of_devices(text: str) -> int | str:
    if text == "auto":
        return text
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"give a number of at least 1, or auto, not {text!r}")


def run(args: argparse.Namespace) -> int:
    """Embed and write."""
    if args.dask is not None:
        return cluster.run(args, _readout(args))
    out = Path(args.out)
    check_out(out)
    from fei_sklearn._bridge.devices import resolve_device
    from fei_sklearn.datasets import load_dataset
    from fei_sklearn.evaluation.models import SavedModel

    resolve_device(args.device)
    model = SavedModel.load(args.model, _readout(args))
    dataset = load_dataset(
        args.dataset,
        root=args.data,
        label=args.label,
        paper_protocol=args.paper_protocol,
    )
    parts = _parts(dataset, args.part)
    with failing():
        embedded = _embed(model, dataset, parts, args)
        write_embeddings(out, embedded)
    n_samples, n_features = embedded.embeddings.shape
    print(f"{args.out}: {n_samples} embeddings of {n_features} features")
    return DONE


def _readout(args: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters of the readout that the command line sets."""
    readout: dict[str, Any] = {}
    if args.pooling is not None:
        readout["pooling"] = _one_or_several(args.pooling)
    if args.views is not None:
        readout["views"] = _one_or_several(args.views)
    if args.layers is not None:
        readout["layers"] = args.layers
    return readout


def _one_or_several(text: str) -> str | tuple[str, ...]:
    names = split_names(text)
    if len(names) == 1:
        return names[0]
    return tuple(names)


def _parts(dataset: Dataset, part: str) -> list[str]:
    """Return the names of the parts to embed."""
    series = _series(dataset)
    if part == "all":
        return list(series)
    if part not in series:
        raise ValueError(f"{dataset.name!r} has no {part} part: it has {', '.join(series)}.")
    return [part]


def _series(dataset: Dataset) -> dict[str, np.ndarray | list[np.ndarray]]:
    """Return the series of the parts that a dataset has."""
    series = {"train": dataset.X_train}
    if dataset.X_val is not None:
        series["val"] = dataset.X_val
    if dataset.X_test is not None:
        series["test"] = dataset.X_test
    return series


def _embed(
    model: SavedModel,
    dataset: Dataset,
    parts: list[str],
    args: argparse.Namespace,
) -> Embedded:
    """Return the embeddings of the parts one after the other, with labels if all have labels."""
    from fei_sklearn._transform import plain_embeddings
    from fei_sklearn.evaluation.standardise import TimeIndexStandardiser, as_panel

    series = _series(dataset)
    panels = {part: as_panel(series[part]) for part in {"train", *parts}}
    if args.standardise == "time-index":
        standardise = TimeIndexStandardiser(panels["train"])
        panels = {part: standardise(X) for part, X in panels.items()}
    embedder = _ready(model, panels["train"], args)
    embeddings = [plain_embeddings(embedder, panels[part]) for part in parts]
    n_series = [len(panels[part]) for part in parts]
    columns = {"part": np.repeat(parts, n_series)}
    labels = _labels(dataset)
    if all(part in labels for part in parts):
        columns["y"] = np.concatenate([labels[part] for part in parts])
    names = embedder.get_feature_names_out()
    return Embedded(
        columns=columns,
        embeddings=np.concatenate(embeddings),
        names=[str(name) for name in names],
    )


def _labels(dataset: Dataset) -> dict[str, np.ndarray]:
    """Return the labels, not their codes, of the parts that have labels."""
    labels = {}
    if dataset.y_train is not None:
        labels["train"] = dataset.y_train
    if dataset.y_val is not None:
        labels["val"] = dataset.y_val
    if dataset.y_test is not None:
        labels["test"] = dataset.y_test
    if dataset.classes is None:
        return labels
    return {part: dataset.classes[codes] for part, codes in labels.items()}


def _ready(
    model: SavedModel,
    X_train: np.ndarray,
    args: argparse.Namespace,
) -> FEIEmbedder:
    """Return the model's embedder, as it was saved unless readout, scaling or channels differ."""
    from fei_sklearn.evaluation.models import Conditions

    per_time_index = args.standardise == "time-index"
    conditions = Conditions(args.device, args.jobs, standardised=per_time_index)
    embedder = model.fitted
    embedder.set_params(**conditions.params())
    same_channels = embedder.input_ndim_ == 3 and embedder.n_channels_in_ == X_train.shape[1]
    if _readout(args) or per_time_index or not same_channels:
        embedder = model.adapt(X_train, 0, conditions)
    embedder.set_params(n_devices=args.n_devices)
    return embedder
