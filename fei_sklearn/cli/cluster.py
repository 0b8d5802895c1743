"""``fei-sklearn embed --dask``: a file of any size, embedded by workers into a zarr store."""

from __future__ import annotations

import argparse
import asyncio
import math
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fei_sklearn.cli.embedding_store import missing_blocks, open_store, write_block
from fei_sklearn.cli.messages import DONE, WorkError, complain, failing

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

    from fei_sklearn import FEIEmbedder

#: Most bytes of the series in a block, and of its embeddings.
BLOCK_BYTES = 2**26

#: Address for workers that the command starts itself.
LOCAL = "local"

#: Seconds in which a local worker may end. A process that has imported torch takes some seconds for
#: that on a busy machine, and dask kills it after 4, with a warning.
CLOSING_SECONDS = 60.0

#: Options of ``embed`` that need a whole dataset, and their defaults.
WHOLE_DATASET = {
    "part": "all",
    "standardise": "model",
    "paper_protocol": False,
    "n_devices": 1,
    "label": None,
    "data": None,
}


def run(args: argparse.Namespace, readout: dict[str, Any]) -> int:
    """Embed a file on the workers of a dask cluster, and write a store.

    Parameters
    ----------
    args : argparse.Namespace
        Arguments of ``embed``, with `dask` set.
    readout : dict
        Parameters of the readout.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    ValueError
        If an argument is bad.
    """
    _check_arguments(args)
    from fei_sklearn.evaluation.models import SavedModel

    embedder = SavedModel.load(args.model, readout).fitted
    n_jobs = args.jobs or 1  # the threads of several workers would compete
    embedder.set_params(device=args.device, n_jobs=n_jobs)
    source = _open(Path(args.dataset))
    report = complain
    if args.quiet:
        report = _report_nothing
    with _client(args.dask) as client, failing():
        _embed(embedder, source, Path(args.out).resolve(), client, report)
    n_features = len(embedder.get_feature_names_out())
    print(f"{args.out}: {source.shape[0]} embeddings of {n_features} features")
    return DONE


def _report_nothing(text: str) -> None:
    """Leave progress out."""


def _check_arguments(args: argparse.Namespace) -> None:
    """Raise a ValueError for an argument that does not go with ``--dask``."""
    for name, default in WHOLE_DATASET.items():
        if getattr(args, name) != default:
            option = name.replace("_", "-")
            raise ValueError(f"--{option} needs a dataset in memory: leave it out with --dask.")
    if Path(args.out).suffix != ".zarr":
        raise ValueError(f"--out must end in .zarr with --dask, got {args.out!r}.")
    missing = [name for name in ("dask", "distributed", "zarr") if find_spec(name) is None]
    if missing:
        raise ValueError(
            f"--dask needs {' and '.join(missing)}: pip install 'fei-sklearn[dask,zarr]'."
        )


class NpyFile:
    """Array in a .npy file, mapped for each read, so that a task holds only the path.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        mapped = np.load(path, mmap_mode="r")
        self.shape: tuple[int, ...] = mapped.shape
        self.dtype = mapped.dtype
        self.chunks: tuple[int, ...] = (1,) * mapped.ndim

    def __getitem__(self, rows: slice) -> np.ndarray:
        mapped = np.load(self.path, mmap_mode="r")
        return np.array(mapped[rows])


def _open(path: Path) -> Any:
    """Return the array in a file, which is read where it is sliced."""
    if not path.exists():
        raise FileNotFoundError(f"There is no file {str(path)!r}.")
    try:
        source = _open_as(path.resolve())
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{str(path)!r} is neither a .npy file of numbers nor the folder of a zarr array, "
            "which --dask needs."
        ) from error
    if len(source.shape) not in (2, 3) or source.shape[0] == 0:
        raise ValueError(
            f"{str(path)!r} has shape {source.shape}: give an array of shape (n_samples, "
            "n_timepoints) or (n_samples, n_channels, n_timepoints) with at least one series."
        )
    return source


def _open_as(path: Path) -> Any:
    """Return the array in a .npy file, or in the folder of a zarr array."""
    if path.is_file():
        return NpyFile(path)
    import zarr

    return zarr.open_array(path, mode="r")


@contextmanager
def _client(address: str) -> Iterator[Client]:
    """Yield a client of a scheduler, or of one local worker per core."""
    from distributed import Client, KilledWorker

    with ExitStack() as opened:
        if address == LOCAL:
            address = opened.enter_context(_local_workers())
        try:
            client = Client(address)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"There is no dask scheduler at {address!r}: start one with `dask scheduler`, or "
                f"give --dask {LOCAL}."
            ) from error
        opened.enter_context(client)
        try:
            yield client
        except KilledWorker as error:
            raise WorkError(
                "A block has ended several workers, usually for want of memory: give the workers "
                "more memory; the same command then computes the blocks that are missing."
            ) from error
        except CancelledError as error:
            raise WorkError(
                "The connection to the scheduler was lost: start scheduler and workers again; the "
                "same command then computes the blocks that are missing."
            ) from error


@contextmanager
def _local_workers() -> Iterator[str]:
    """Start one local worker per core, and yield the address of their scheduler."""
    from distributed import LocalCluster

    # ":0" is any free port, where None is port 8787, which warns if it is taken
    with LocalCluster(threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster.scheduler_address
        cluster.sync(_close_workers, cluster)


async def _close_workers(cluster: LocalCluster) -> None:
    """Close workers that have nothing left to do, and wait until their processes have ended."""
    workers = cluster.workers.values()
    await asyncio.gather(*(worker.close(timeout=CLOSING_SECONDS) for worker in workers))


def _embed(
    embedder: FEIEmbedder,
    source: Any,
    path: Path,
    client: Client,
    report: Callable[[str], None],
) -> None:
    """Write the blocks that a store lacks, and report each percent of all blocks."""
    from dask.delayed import delayed
    from distributed import as_completed

    from fei_sklearn._transform import plain_embeddings

    first = plain_embeddings(embedder, source[:1])[0]
    n_rows = _rows_per_block(source, first.nbytes)
    store = open_store(path, source.shape[0], n_rows, first)
    missing = missing_blocks(store)
    n_blocks = math.ceil(source.shape[0] / n_rows)
    n_complete = n_blocks - len(missing)
    if n_complete > 0:
        report(f"{n_complete} of {n_blocks} blocks were complete already.")
    # one task each for model and source, which travel to a worker once
    shared_embedder = delayed(embedder)
    shared_source = delayed(source)
    task = delayed(_embed_block, pure=False)
    tasks = []
    for number in missing.tolist():
        rows = slice(number * n_rows, (number + 1) * n_rows)
        tasks.append(task(shared_embedder, shared_source, rows, path, number))
    for future in as_completed(client.compute(tasks)):
        future.result()
        n_complete += 1
        is_new_percent = 100 * n_complete // n_blocks > 100 * (n_complete - 1) // n_blocks
        if is_new_percent:
            report(f"{n_complete} of {n_blocks} blocks")


def _rows_per_block(source: Any, embedding_bytes: int) -> int:
    """Return the rows of a block, which consists of whole chunks of the source."""
    series_bytes = source.dtype.itemsize * math.prod(source.shape[1:])
    n_rows = BLOCK_BYTES // max(series_bytes, embedding_bytes)
    n_chunk_rows = source.chunks[0]
    n_chunks = max(1, n_rows // n_chunk_rows)
    return int(min(n_chunks * n_chunk_rows, source.shape[0]))


def _embed_block(
    embedder: FEIEmbedder,
    source: Any,
    rows: slice,
    path: Path,
    number: int,
) -> None:
    """Read, embed and write a block in one task, so that a worker holds one block per thread."""
    from fei_sklearn._transform import plain_embeddings

    embeddings = plain_embeddings(embedder, source[rows])
    write_block(embeddings, path, number)
