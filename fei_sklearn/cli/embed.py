"""``fei-sklearn embed``: embeddings of a dataset's parts, in a file."""

from __future__ import annotations

import argparse
import csv
import io
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import numpy as np

from fei_sklearn.cli.arguments import STANDARDISE, add_data, add_machine
from fei_sklearn.cli.messages import failing
from fei_sklearn.readout.spec import LAYERS

PARTS = ("train", "val", "test")
SUFFIXES = (".npz", ".csv", ".parquet")


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "embed",
        help="embed a dataset with a model",
        description="Embed the series of a dataset with a saved model. The file has the "
        "embeddings, the part each series is from, and its label where there is one.",
    )
    parser.add_argument("model", metavar="MODEL", help="folder of a saved model, or its name")
    add_data(parser)
    parser.add_argument("--out", required=True, metavar="FILE", help="an .npz, .csv or .parquet")
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
        "--paper-protocol", action="store_true", help="cut the paper's sets as it did"
    )
    add_machine(parser)
    parser.add_argument(
        "--n-devices",
        default=1,
        type=lambda text: text if text == "auto" else int(text),
        metavar="N",
        help="devices that share the series, or auto for all CUDA devices (default: 1)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Embed and write."""
    out = Path(args.out)
    _check_out(out)
    from fei_sklearn._bridge.devices import resolve_device
    from fei_sklearn._files import whole_file
    from fei_sklearn.datasets import load_dataset
    from fei_sklearn.evaluation.models import Conditions, SavedModel
    from fei_sklearn.evaluation.standardise import TimeIndexStandardiser, as_panel

    resolve_device(args.device)
    readout = _readout(args)
    model = SavedModel.load(args.model, readout)
    dataset = load_dataset(args.dataset, root=args.data, paper_protocol=args.paper_protocol)
    parts = _parts(dataset, args.part)
    per_time_index = args.standardise == "time-index"
    conditions = Conditions(args.device, args.jobs, standardised=per_time_index)
    with failing():
        panels = {part: as_panel(getattr(dataset, f"X_{part}")) for part in {"train", *parts}}
        if per_time_index:
            standardise = TimeIndexStandardiser(panels["train"])
            panels = {part: standardise(X) for part, X in panels.items()}
        embedder = model.fitted.set_params(**conditions.params())
        if readout or per_time_index or not _fits(embedder, panels["train"]):
            embedder = model.adapt(panels["train"], 0, conditions)
        embedder.set_params(n_devices=args.n_devices)
        embedded = [embedder.transform(panels[part]) for part in parts]
        columns: dict[str, np.ndarray] = {
            "part": np.repeat(parts, [len(part) for part in embedded]),
        }
        labels = [getattr(dataset, f"y_{part}") for part in parts]
        if all(y is not None for y in labels):
            columns["y"] = np.concatenate(labels)
        embeddings = np.concatenate(embedded)
        names = [str(name) for name in embedder.get_feature_names_out()]
        with whole_file(out) as file:
            {".npz": _npz, ".csv": _csv, ".parquet": _parquet}[out.suffix](
                file, columns, embeddings, names
            )
    print(f"{args.out}: {len(embeddings)} embeddings of {embeddings.shape[1]} features")
    return 0


def _check_out(out: Path) -> None:
    if out.suffix not in SUFFIXES:
        raise ValueError(f"--out must end in {', '.join(SUFFIXES)}, got {str(out)!r}.")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(out.parent)!r} to write in: make it.")
    if out.suffix == ".parquet":
        missing = [name for name in ("pandas", "pyarrow") if find_spec(name) is None]
        if missing:
            raise ValueError(
                f"Parquet needs {' and '.join(missing)}: pip install {' '.join(missing)}, or write "
                ".npz or .csv."
            )


def _readout(args: argparse.Namespace) -> dict[str, Any]:
    readout: dict[str, Any] = {}
    for name in ("pooling", "views"):
        if getattr(args, name) is not None:
            names = tuple(part.strip() for part in getattr(args, name).split(","))
            readout[name] = names if len(names) > 1 else names[0]
    if args.layers is not None:
        readout["layers"] = args.layers
    return readout


def _parts(dataset: Any, part: str) -> list[str]:
    present = [p for p in PARTS if getattr(dataset, f"X_{p}") is not None]
    if part == "all":
        return present
    if part not in present:
        raise ValueError(f"{dataset.name!r} has no {part} part: it has {', '.join(present)}.")
    return [part]


def _fits(embedder: Any, X: np.ndarray) -> bool:
    """Whether the model takes such panels as it is, with its own scaling and thresholds."""
    return bool(embedder.input_ndim_ == 3 and embedder.n_channels_in_ == X.shape[1])


def _npz(
    file: IO[bytes], columns: dict[str, np.ndarray], embeddings: np.ndarray, names: list[str]
) -> None:
    np.savez_compressed(file, embeddings=embeddings, **columns)  # type: ignore[arg-type]


def _csv(
    file: IO[bytes], columns: dict[str, np.ndarray], embeddings: np.ndarray, names: list[str]
) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, *names])
    for *about, row in zip(*columns.values(), embeddings, strict=True):
        writer.writerow([*about, *row])
    text.detach()  # the file stays open


def _parquet(
    file: IO[bytes], columns: dict[str, np.ndarray], embeddings: np.ndarray, names: list[str]
) -> None:
    import pandas as pd

    frame = pd.DataFrame(embeddings, columns=names)
    for position, (name, column) in enumerate(columns.items()):
        frame.insert(position, name, column)
    frame.to_parquet(file, index=False)
