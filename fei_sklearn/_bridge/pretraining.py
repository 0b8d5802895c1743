"""What an embedder's parameters and weights mean in torch: build, pretrain, restore.

The estimator holds weights as NumPy arrays and never sees a layer; this is where they become
modules and arrays again.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from fei_sklearn._bridge.devices import (
    Devices,
    private_random_state,
    resolve_devices,
    resolve_precision,
    shared_threads,
    torch_threads,
)
from fei_sklearn._bridge.launch import TrainingRun, train_on
from fei_sklearn.data import Panel
from fei_sklearn.encoder.folding import fold_batch_norm
from fei_sklearn.encoder.maps import check_has_layers, map_widths
from fei_sklearn.encoder.resnet import ENCODER_WIDTHS, FEIEncoder
from fei_sklearn.inference import TILE_ROWS, embed
from fei_sklearn.objectives import objective_class
from fei_sklearn.objectives.base import PretrainingObjective
from fei_sklearn.readout.pooling import Readout, fit_biases
from fei_sklearn.readout.spec import ReadoutSpec, layer_widths
from fei_sklearn.training.batches import split
from fei_sklearn.training.calibration import calibrate
from fei_sklearn.training.checkpointing import RunFolder, run_fingerprint
from fei_sklearn.training.options import TrainingOptions
from fei_sklearn.training.progress import EpochRecord, Watcher

Weights = dict[str, np.ndarray]

#: Series that the collapse watch looks at.
COLLAPSE_SAMPLE = 256

#: Series over which the biases of "ppv" are quantiles.
BIAS_SAMPLE = 64

#: Values that are embedded at once of a panel that is not in memory.
VALUES_AT_ONCE = 2**20

#: Before the name of a view, the name of its biases among the weights.
BIASES = "biases."


#: Trains an embedder's objective on a panel, on a device, from two seeds, before a watcher; returns
#: the records, and the epoch of the weights.
Trainer = Callable[
    [Any, PretrainingObjective, Panel, torch.device, list[int], Watcher],
    tuple[list[EpochRecord], int],
]


@dataclass(frozen=True)
class Architecture:
    """Which encoder: its size, width or builder, and the stride of its stages."""

    encoder: Any
    stride: int

    @classmethod
    def of(cls, fitted: Any) -> Architecture:
        """The encoder of a fitted embedder."""
        built_by_user = callable(fitted.encoder)
        n_backbones = objective_class(fitted.objective_).n_backbones
        spec = fitted.encoder if built_by_user else int(fitted.stage_widths_[-1]) // n_backbones
        return cls(spec, int(fitted.stride_))

    def build(self, n_channels: int, generator: torch.Generator | None = None) -> nn.Module:
        """An encoder with initial weights from `generator`, or from the seed 0.

        Raises
        ------
        TypeError
            If a callable does not give a torch module.
        """
        if not callable(self.encoder):
            width = ENCODER_WIDTHS.get(self.encoder, self.encoder)
            generator = generator or torch.Generator().manual_seed(0)
            return FEIEncoder(n_channels, width, self.stride, generator=generator)
        module = self.encoder(n_channels)
        if not isinstance(module, nn.Module):
            raise TypeError(
                "A callable encoder must return a torch module for a number of channels, "
                f"{self.encoder!r} returned {type(module).__name__}."
            )
        return module

    def random_state(self, seed: int, device: torch.device) -> AbstractContextManager[None]:
        """Guard of torch's global random state, which only a user's own module can touch."""
        return private_random_state(seed, device) if callable(self.encoder) else nullcontext()


@dataclass(frozen=True)
class Start:
    """Weights to start from: those of an earlier fit, or of a checkpoint."""

    weights: Weights
    architecture: Architecture
    reference_length: int
    objective: str

    @classmethod
    def of(cls, fitted: Any) -> Start:
        """The weights of a fitted embedder."""
        architecture = Architecture.of(fitted)
        return cls(fitted.weights_, architecture, fitted.reference_length_, fitted.objective_)


@dataclass(frozen=True)
class Pretrained:
    """What pretraining gives, at its end or so far.

    Attributes
    ----------
    weights : dict of str to ndarray
        Of the encoder ("encoder.*"), which is all that readout needs, and of what trained it, such
        as prompts and heads.
    stage_widths : tuple of int
        Features of the encoder's maps.
    stride : int
        Stride of the encoder's stages.
    objective : str
        Name of the objective.
    reference_length : int
        Length that the objective was built for; FEI's prompts stand at its frequencies.
    history : list of dict
        One record an epoch.
    best_epoch : int
        Epoch of the weights, from 1; 0 without training.
    relative_deviation : float
        How much the embeddings of training series differ, relative to their size; NaN where there
        are no two different series.
    """

    weights: Weights
    stage_widths: tuple[int, ...]
    stride: int
    objective: str
    reference_length: int
    history: list[EpochRecord]
    best_epoch: int
    relative_deviation: float


def pretrain(
    embedder: Any,
    panel: Panel,
    start: Start | None,
    seed: int,
    watcher: Watcher,
    follow: Callable[[Callable[..., Pretrained]], None] | None = None,
    trainer: Trainer | None = None,
) -> Pretrained:
    """Pretrain on a panel as the embedder's parameters say.

    Parameters
    ----------
    embedder : FEIEmbedder
        Its parameters are read, nothing is written.
    panel : Panel
        Training series.
    start : Start or None
        What to start from. Weights of another shape than the parameters ask for are drawn anew.
    seed : int
        Source of all randomness.
    watcher : Watcher
        Told of each epoch.
    follow : callable, default=None
        Given, before training, a function from the records so far, the best weights and their
        epoch to what pretraining would give if it stopped now.
    trainer : callable, default=None
        What trains the objective. None is a whole run, as the embedder's parameters say.

    Returns
    -------
    Pretrained
        Weights and history.
    """
    devices = resolve_devices(embedder.n_devices, embedder.device)
    device = devices.own
    chosen = Architecture(embedder.encoder, embedder.stride)
    architecture = chosen if start is None else start.architecture
    seeds = [int(s) for s in np.random.SeedSequence(seed).generate_state(4)]
    with torch_threads(embedder.n_jobs), architecture.random_state(seed, device):
        name = embedder.objective if start is None else start.objective
        objective, widths = _objective(embedder, name, architecture, panel, start, seeds[0])

        def result(objective: Any, history: list[EpochRecord], best_epoch: int) -> Pretrained:
            encoder = objective.encoder.to(device)
            if history or start is None:
                size = batch_size(embedder, len(panel))
                calibrate(encoder, panel, batch_size=size, device=device, seed=seeds[3])
            return Pretrained(
                weights=_arrays(objective) | _bias_arrays(encoder, panel, device),
                stage_widths=widths,
                stride=architecture.stride,
                objective=name,
                reference_length=objective.n_timepoints,
                history=list(history),
                best_epoch=best_epoch,
                relative_deviation=_relative_deviation(encoder, panel, device),
            )

        def so_far(
            history: list[EpochRecord], weights: dict[str, torch.Tensor], best_epoch: int
        ) -> Pretrained:
            snapshot = copy.deepcopy(objective)
            snapshot.load_state_dict(weights)
            return result(snapshot, history, best_epoch)

        if follow is not None:
            follow(so_far)
        if trainer is None:
            trained = _train(embedder, objective, panel, devices, seeds[1:3], watcher)
        else:
            trained = trainer(embedder, objective, panel, device, seeds[1:3], watcher)
        return result(objective, *trained)


def _objective(
    embedder: Any,
    name: str,
    architecture: Architecture,
    panel: Panel,
    start: Start | None,
    seed: int,
) -> tuple[Any, tuple[int, ...]]:
    """The objective with its initial weights, and the widths of the encoder's maps."""
    generator = torch.Generator().manual_seed(seed)
    n_channels = panel.values.shape[1]
    n_timepoints = panel.max_length if start is None else start.reference_length
    encoder = _encoder(name, architecture, n_channels, n_timepoints, generator)
    check_has_layers(encoder, embedder.layers)
    widths = map_widths(encoder, n_channels, panel.max_length)
    chosen = objective_class(name)
    available = embedder.get_params(deep=False) | {"n_channels": n_channels}
    objective = chosen(
        encoder,
        width=widths[-1],
        n_timepoints=n_timepoints,
        generator=generator,
        **{option: available[option] for option in chosen.options},
    )
    if start is not None:
        _load(objective, start.weights)
    return objective, widths


def _encoder(
    objective: str,
    architecture: Architecture,
    n_channels: int,
    n_timepoints: int,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """What the objective trains and `transform` reads, with initial weights."""
    generator = generator or torch.Generator().manual_seed(0)

    def build(n_channels: int, stride: int = architecture.stride) -> nn.Module:
        return replace(architecture, stride=stride).build(n_channels, generator)

    encoder: nn.Module = objective_class(objective).build_encoder(
        build, n_channels, n_timepoints, generator
    )
    return encoder


def _train(
    embedder: Any,
    objective: PretrainingObjective,
    panel: Panel,
    devices: Devices,
    seeds: list[int],
    watcher: Watcher,
) -> tuple[list[EpochRecord], int]:
    if embedder._most_epochs == 0:
        objective.eval()
        return [], 0
    options = training_options(embedder, batch_size(embedder, len(panel)), devices.own, seeds[0])
    options = replace(options, n_devices=devices.count)
    rows, held_out = split(len(panel), embedder.validation_fraction or 0.0, seeds[1])
    training = panel.select(rows)
    validation = panel.select(held_out) if len(held_out) else None
    run_folder = _checkpoints(embedder, objective, options, training, validation)
    run = TrainingRun(objective, training, options, validation, run_folder)
    return train_on(devices, run, embedder, watcher)


def _checkpoints(
    embedder: Any,
    objective: PretrainingObjective,
    options: TrainingOptions,
    training: Panel,
    validation: Panel | None,
) -> RunFolder | None:
    """Where the embedder's run keeps its state, if it is to."""
    if embedder.checkpoint_dir is None:
        return None
    if embedder.random_state is None:
        raise ValueError(
            f"checkpoint_dir={str(embedder.checkpoint_dir)!r} needs a random_state, got None: only "
            "a fit with the same one can go on where another was."
        )
    available = embedder.get_params(deep=False)
    chosen: tuple[str, ...] = objective.options
    settings = {name: available[name] for name in chosen if name in available}
    # on other devices of the same type, and on more or fewer of them, a run may go on
    settings |= asdict(options) | {"device": options.device.type}
    del settings["n_devices"]
    panels = [training] if validation is None else [training, validation]
    return RunFolder(
        embedder.checkpoint_dir,
        run_fingerprint(objective, panels, settings),
        global_random_state=callable(embedder.encoder),
    )


def batch_size(embedder: Any, n_series: int) -> int:
    """Series in a step of pretraining: given, or a power of 2 near an eighth of the panel."""
    if embedder.batch_size != "auto":
        return int(embedder.batch_size)
    return int(2 ** np.clip(np.rint(np.log2(n_series / 8)), 4, 9))


def training_options(
    estimator: Any, batch_size: int, device: torch.device, seed: int
) -> TrainingOptions:
    """The options that an estimator's parameters spell; `momentum` is the embedder's alone."""
    return TrainingOptions(
        max_epochs=estimator._most_epochs,
        min_epoch_steps=estimator.min_epoch_steps,
        batch_size=batch_size,
        learning_rate=estimator.learning_rate,
        lr_decay=estimator.lr_decay,
        momentum=getattr(estimator, "momentum", 1.0),
        n_iter_no_change=estimator.n_iter_no_change,
        device=device,
        precision=resolve_precision(estimator.precision, device),
        seed=seed,
    )


def _load(objective: PretrainingObjective, weights: Weights) -> None:
    """Load weights where their shape fits, and the momentum copies with their originals'."""
    state = objective.state_dict()
    for name, array in weights.items():
        for twin in (name, f"target_{name}"):
            if twin in state and state[twin].shape == array.shape:
                state[twin] = torch.from_numpy(np.array(array))
    objective.load_state_dict(state)


def _arrays(objective: PretrainingObjective) -> Weights:
    """Copies of the weights, less those of the target encoder."""
    state = objective.state_dict().items()
    return {k: v.detach().cpu().numpy().copy() for k, v in state if not k.startswith("target_")}


def _bias_arrays(encoder: nn.Module, panel: Panel, device: torch.device) -> Weights:
    """Biases of "ppv" on all maps of each view, from series spread over the panel."""
    rows = np.unique(np.linspace(0, len(panel) - 1, BIAS_SAMPLE).astype(np.int64))
    biases = fit_biases(encoder, *panel.take(rows).batch(device))
    return {
        f"{BIASES}{view}": torch.cat(parts, dim=1).cpu().numpy() for view, parts in biases.items()
    }


def _relative_deviation(encoder: nn.Module, panel: Panel, device: torch.device) -> float:
    sample = panel.take(np.arange(min(len(panel), COLLAPSE_SAMPLE)))
    if np.array_equal(sample.values, np.broadcast_to(sample.values[:1], sample.values.shape)):
        return float("nan")
    embeddings = embed(Readout(encoder), sample, device=device).astype(np.float64)
    mean_square = max(float((embeddings**2).mean()), np.finfo(np.float64).tiny)
    return float(np.sqrt(embeddings.var(axis=0).mean() / mean_square))


def restore_encoder(embedder: Any) -> nn.Module:
    """A new module with the fitted weights, in evaluation mode, on the CPU."""
    architecture = Architecture.of(embedder)
    n_channels = 1 if embedder.separate_channels_ else embedder.n_channels_in_
    with architecture.random_state(0, torch.device("cpu")):
        module = _encoder(embedder.objective_, architecture, n_channels, embedder.reference_length_)
    prefix = "encoder."
    state = {
        name.removeprefix(prefix): torch.from_numpy(np.array(array))
        for name, array in embedder.weights_.items()
        if name.startswith(prefix)
    }
    module.load_state_dict(state)
    return module.eval()


def build_readout(embedder: Any, encoder: nn.Module) -> Readout:
    """What the embedder's `transform` computes, on an encoder of its architecture."""
    spec = embedder._readout()
    biases = _biases(embedder, encoder, spec) if "ppv" in spec.statistics else None
    separate = embedder.separate_channels_
    return Readout(encoder, spec, biases=biases, separate_channels=separate)


def _biases(embedder: Any, encoder: nn.Module, spec: ReadoutSpec) -> dict[str, torch.Tensor]:
    """Biases of the layers and views that are read out."""
    in_blocks = hasattr(encoder, "block_maps")
    widths = list(layer_widths(embedder.stage_widths_, "blocks" if in_blocks else "all"))
    of_stages = slice(1, None, 2) if in_blocks else slice(None)
    taken = {"last": slice(-1, None), "all": of_stages, "blocks": slice(None)}[spec.layers]
    biases = {}
    for view in spec.views:
        every = torch.from_numpy(np.array(embedder.weights_[f"{BIASES}{view}"]))
        biases[view] = torch.cat(torch.split(every, widths, dim=1)[taken], dim=1)
    return biases


def rows_at_once(embedder: Any, shape: tuple[int, ...], chunk_rows: int) -> int:
    """Series that are embedded at once of a panel that is not in memory.

    Whole tiles of them, and whole chunks of the file, so that none is read twice.
    """
    device = resolve_devices(embedder.n_devices, embedder.device).own
    tile = TILE_ROWS.get(device.type, 32)
    n_rows = max(1, VALUES_AT_ONCE // (tile * int(np.prod(shape[1:])))) * tile
    return -(-n_rows // chunk_rows) * chunk_rows


_restored: weakref.WeakKeyDictionary[Any, tuple[Weights, torch.device, nn.Module]]
_restored = weakref.WeakKeyDictionary()


def embed_panel(embedder: Any, panel: Panel, out: np.ndarray | None = None) -> np.ndarray:
    """Embeddings of a panel under the fitted weights and the embedder's readout.

    The encoder is kept from call to call, with its batch norm folded, outside the estimator, whose
    pickle and copies stay plain arrays.
    """
    device, *others = resolve_devices(embedder.n_devices, embedder.device).all()
    weights, where, encoder = _restored.get(embedder, (None, None, None))
    if encoder is None or weights is not embedder.weights_ or where != device:
        encoder = fold_batch_norm(restore_encoder(embedder)).to(device)
        _restored[embedder] = (embedder.weights_, device, encoder)
    with torch_threads(embedder.n_jobs), shared_threads(1 + len(others)):
        readout = build_readout(embedder, encoder).to(device)
        return embed(readout, panel, device=device, others=others, out=out)
