"""Embeddings of validated series under a fitted model: in memory, or block by block.

The restored encoder is kept from call to call outside the estimator, whose pickle and copies stay
plain arrays.
"""

from __future__ import annotations

import weakref
from collections.abc import Generator, Iterator
from contextlib import closing, nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn

from fei_sklearn._bridge.building import build_encoder, fitted_encoder_spec
from fei_sklearn._bridge.devices import resolve_devices, shared_threads, torch_threads
from fei_sklearn._bridge.divergence import warn_of_infinities
from fei_sklearn._bridge.front import (
    check_front_arrays,
    front_kernels,
    front_readout,
    require_front_kernels,
)
from fei_sklearn._bridge.private_draws import PrivateDraws
from fei_sklearn._bridge.spec import EncodingSpec, FittedModel, MachineSpec
from fei_sklearn._bridge.torch_state import own_torch_state
from fei_sklearn._bridge.weight_names import Weights, bias_name, encoder_weights
from fei_sklearn._input.stored import StoredPanel, check_target
from fei_sklearn.data import Panel
from fei_sklearn.encoder.folding import fold_batch_norm
from fei_sklearn.encoder.maps import FrontKernels, has_step_positions
from fei_sklearn.inference import embed, rows_per_tile
from fei_sklearn.readout.biases import biases_of_layers
from fei_sklearn.readout.pooling import Readout
from fei_sklearn.readout.spec import FrontSpec, ReadoutSpec
from fei_sklearn.training.prefetch import read_ahead

CPU = torch.device("cpu")

#: Values that are embedded at once of a panel that is not in memory.
VALUES_AT_ONCE = 2**20

#: Weights, device and folded encoder by the owner of an encoding.
_encoders: weakref.WeakKeyDictionary[object, tuple[Weights, torch.device, nn.Module]]
_encoders = weakref.WeakKeyDictionary()

#: Weights and kernels of the front by the owner of an encoding.
_kernels: weakref.WeakKeyDictionary[object, tuple[Weights, FrontKernels]]
_kernels = weakref.WeakKeyDictionary()


@own_torch_state()
def restore_encoder(model: FittedModel) -> nn.Module:
    """Return a new module with the fitted weights, in evaluation mode, on the CPU.

    Raises
    ------
    RuntimeError, LookupError or ValueError
        If the weights are not those of such a model.
    """
    spec = fitted_encoder_spec(model)
    generator = torch.Generator().manual_seed(0)
    draws = PrivateDraws(0) if callable(spec.size) else nullcontext()
    with draws:
        encoder = build_encoder(
            model.objective, spec, model.encoder_channels, model.reference_length, generator
        )
    state = {
        name: torch.from_numpy(np.array(array))
        for name, array in encoder_weights(model.weights).items()
    }
    encoder.load_state_dict(state)
    encoder.eval()
    kernels = front_kernels(encoder)
    if kernels is not None:
        check_front_arrays(kernels, model.weights)
    return encoder


def build_readout(model: FittedModel, spec: ReadoutSpec, encoder: nn.Module) -> Readout:
    """Return the module that `transform` computes, on an encoder with the model's architecture."""
    biases = None
    if "ppv" in spec.statistics:
        biases = _biases(model, spec, encoder)
    return Readout(encoder, spec, biases=biases, separate_channels=model.separate_channels)


def _biases(model: FittedModel, spec: ReadoutSpec, encoder: nn.Module) -> dict[str, torch.Tensor]:
    """Return the "ppv" biases of the layers and views that a readout takes."""
    biases = {}
    for view in spec.views:
        array = np.array(model.weights[bias_name(view)])
        of_all = torch.from_numpy(array)
        biases[view] = biases_of_layers(of_all, encoder, model.stage_widths, spec.layers)
    return biases


@own_torch_state()
def embed_panel(encoding: EncodingSpec, panel: Panel, out: np.ndarray | None = None) -> np.ndarray:
    """Return the embeddings of a panel in one go.

    Parameters
    ----------
    encoding : EncodingSpec
        Model, readout and machine.
    panel : Panel
        Series in memory, as `encoding.input` prepares them.
    out : ndarray, default=None
        Array to write the embeddings to; None makes a new one.

    Returns
    -------
    ndarray of shape (n_samples, n_features) or (n_samples, n_steps, n_features), float32
        Embeddings.
    """
    machine = encoding.machine
    device, *others = resolve_devices(machine.n_devices, machine.device).all()
    if isinstance(encoding.readout, FrontSpec):
        embeddings = _embed_front(encoding, encoding.readout, panel, device, out)
        warn_of_infinities(embeddings)
        return embeddings
    encoder = _kept_encoder(encoding, device)
    with torch_threads(machine.n_jobs), shared_threads(1 + len(others)):
        readout = build_readout(encoding.model, encoding.readout, encoder).to(device)
        embeddings = embed(readout, panel, device=device, others=others, out=out)
    warn_of_infinities(embeddings)
    return embeddings


def _embed_front(
    encoding: EncodingSpec,
    spec: FrontSpec,
    panel: Panel,
    device: torch.device,
    out: np.ndarray | None,
) -> np.ndarray:
    """Return the embeddings of a panel by the front of a model's encoder."""
    kernels = _kept_kernels(encoding)
    readout = front_readout(encoding.model, spec, kernels, encoding.n_components)
    with torch_threads(encoding.machine.n_jobs):
        return embed(readout, panel, device=device, out=out)


def _kept_kernels(encoding: EncodingSpec) -> FrontKernels:
    """Return the kernels of the owner's front, rebuilt if its weights have changed."""
    model = encoding.model
    kept = _kernels.get(encoding.owner)
    if kept is not None:
        weights, kernels = kept
        if weights is model.weights:
            return kernels
    encoder = restore_encoder(model)
    kernels = require_front_kernels(encoder)
    _kernels[encoding.owner] = (model.weights, kernels)
    return kernels


def _kept_encoder(encoding: EncodingSpec, device: torch.device) -> nn.Module:
    """Return the owner's folded encoder, rebuilt if its weights or device have changed."""
    model = encoding.model
    kept = _encoders.get(encoding.owner)
    if kept is not None:
        weights, kept_device, encoder = kept
        if kept_device == device and _are_unchanged(weights, model.weights):
            return encoder
    weights = _kept_weights(model.weights)
    encoder = fold_batch_norm(restore_encoder(model)).to(device)
    _encoders[encoding.owner] = (weights, device, encoder)
    return encoder


def _kept_weights(weights: Weights) -> Weights:
    """Return copies of weights unless read-only, to notice later changes in place."""
    return {
        name: array.copy() if array.flags.writeable else array for name, array in weights.items()
    }


def _are_unchanged(kept: Weights, weights: Weights) -> bool:
    """Return whether weights are those that were kept."""
    if kept.keys() != weights.keys():
        return False
    return all(_is_unchanged(kept[name], array) for name, array in weights.items())


def _is_unchanged(kept: np.ndarray, array: np.ndarray) -> bool:
    if array.flags.writeable:
        return kept is not array and np.array_equal(kept, array)
    return kept is array


def embed_values(
    encoding: EncodingSpec,
    values: np.ndarray | StoredPanel,
    out: Any = None,
    *,
    panel: Panel | None = None,
) -> Any:
    """Return the embeddings of validated series, block by block if these are not in memory.

    Parameters
    ----------
    encoding : EncodingSpec
        Model, readout, input and machine.
    values : ndarray of shape (n_samples, n_channels, n_timepoints), or StoredPanel
        Validated series.
    out : array-like, default=None
        Where to write the embeddings: an array, or an array of zarr or h5py. None makes an array.
    panel : Panel, default=None
        The same series, if they are prepared already.

    Returns
    -------
    array-like of shape (n_samples, n_features), or (n_samples, n_steps, n_features) without pooling
        `out`, or a new array of float32.

    Raises
    ------
    ValueError
        If `out` does not fit.
    """
    into_array = out is None or isinstance(out, np.ndarray)
    gives_steps = encoding.gives_steps
    if gives_steps and not into_array:
        raise ValueError(
            f"out must be a NumPy array or a memory map with pooling=None, got a "
            f"{type(out).__name__}: write the parts of transform_chunks(X) there."
        )
    in_memory = isinstance(values, np.ndarray)
    at_once = gives_steps or (in_memory and into_array)
    if at_once:
        if panel is None:
            panel = encoding.input.panel(values)
        return embed_panel(encoding, panel, out)
    shape = (len(values), encoding.n_features)
    if out is None:
        out = np.empty(shape, dtype=np.float32)
    check_target(out, shape)
    for rows, embeddings in embed_blocks(encoding, values, panel=panel):
        out[rows] = embeddings
    return out


def embed_blocks(
    encoding: EncodingSpec,
    values: np.ndarray | StoredPanel,
    n_rows: int | None = None,
    *,
    panel: Panel | None = None,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Embed validated series block by block, and read the next block meanwhile.

    Parameters
    ----------
    encoding : EncodingSpec
        Model, readout, input and machine.
    values : ndarray of shape (n_samples, n_channels, n_timepoints), or StoredPanel
        Validated series.
    n_rows : int, default=None
        Series per block; None chooses.
    panel : Panel, default=None
        The series of a StoredPanel, if they are prepared already.

    Yields
    ------
    tuple of slice and ndarray
        Rows, and their embeddings.
    """
    stored = values if isinstance(values, StoredPanel) else StoredPanel(values)
    if panel is None:
        panel = encoding.input.panel(stored)
    if n_rows is None:
        n_rows = rows_at_once(encoding.machine, stored.shape, stored.chunk_rows)
    blocks = _prepared_blocks(panel, n_rows)
    if stored is values:
        blocks = read_ahead(blocks)
    with closing(blocks):
        for rows, block in blocks:
            yield rows, embed_panel(encoding, block)


def _prepared_blocks(panel: Panel, n_rows: int) -> Generator[tuple[slice, Panel], None, None]:
    """Yield rows and their series, read into memory."""
    n_samples = len(panel)
    for start in range(0, n_samples, n_rows):
        stop = min(start + n_rows, n_samples)
        rows = slice(start, stop)
        yield rows, panel.block(rows)


def rows_at_once(machine: MachineSpec, shape: tuple[int, ...], chunk_rows: int) -> int:
    """Return how many series of a panel that is not in memory are embedded at once.

    They fill whole tiles of inference, and whole chunks of the file, so that no chunk is read
    twice.
    """
    device = resolve_devices(machine.n_devices, machine.device).own
    tile_rows = rows_per_tile(device, shape[-1])
    values_per_tile = tile_rows * int(np.prod(shape[1:]))
    n_tiles = max(1, VALUES_AT_ONCE // values_per_tile)
    n_chunks = -(-n_tiles * tile_rows // chunk_rows)
    return n_chunks * chunk_rows


@own_torch_state()
def step_positions(model: FittedModel, n_timepoints: int) -> np.ndarray:
    """Return the time points at which the steps of a series' map are centred.

    Raises
    ------
    ValueError
        If the encoder is a user's own without a method ``step_positions``.
    """
    encoder = restore_encoder(model)
    if not has_step_positions(encoder):
        raise ValueError(
            f"The encoder {type(encoder).__name__} has no method step_positions(n_timepoints), "
            "so the positions of its steps are not known."
        )
    positions: np.ndarray = encoder.step_positions(n_timepoints).numpy()
    return positions
