"""What an embedder's parameters and weights mean in torch: build, pretrain, restore.

The estimator holds weights as NumPy arrays and never sees a layer; this is where they become
modules and arrays again.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from fei_sklearn._torch import (
    private_random_state,
    resolve_device,
    resolve_precision,
    torch_threads,
)
from fei_sklearn.calibration import calibrate
from fei_sklearn.data import Panel, split
from fei_sklearn.encoder import ENCODER_WIDTHS, FEIEncoder, check_has_stages, map_widths
from fei_sklearn.inference import embed
from fei_sklearn.objective import FEIObjective
from fei_sklearn.pooling import Readout
from fei_sklearn.training import Record, TrainingOptions, Watcher, train

Weights = dict[str, np.ndarray]

#: Series that the collapse watch looks at.
COLLAPSE_SAMPLE = 256


@dataclass(frozen=True)
class Architecture:
    """Which encoder: its size, width or builder, and the stride of its stages."""

    encoder: Any
    stride: int

    @classmethod
    def of(cls, fitted: Any) -> Architecture:
        """The encoder of a fitted embedder."""
        built_by_user = callable(fitted.encoder)
        spec = fitted.encoder if built_by_user else int(fitted.stage_widths_[-1])
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

    @classmethod
    def of(cls, fitted: Any) -> Start:
        """The weights of a fitted embedder."""
        return cls(fitted.weights_, Architecture.of(fitted), fitted.reference_length_)


@dataclass(frozen=True)
class Pretrained:
    """What pretraining gives, at its end or so far.

    Attributes
    ----------
    weights : dict of str to ndarray
        Of the encoder ("encoder.*"), the prompts and the heads.
    stage_widths : tuple of int
        Features of the encoder's maps.
    stride : int
        Stride of the encoder's stages.
    reference_length : int
        Length at whose frequencies the prompts stand.
    history : list of dict
        One record an epoch.
    best_epoch : int
        Epoch of the weights, from 1; 0 without training.
    spread : float
        How much the embeddings of training series differ, relative to their size; NaN where there
        are no two different series.
    """

    weights: Weights
    stage_widths: tuple[int, ...]
    stride: int
    reference_length: int
    history: list[Record]
    best_epoch: int
    spread: float


def univariate(panel: Panel) -> Panel:
    """Every channel as a series of its own."""
    n_channels = panel.values.shape[1]
    lengths = None if panel.lengths is None else np.repeat(panel.lengths, n_channels)
    return Panel(panel.values.reshape(-1, 1, panel.values.shape[2]), lengths)


def pretrain(
    embedder: Any,
    panel: Panel,
    start: Start | None,
    seed: int,
    watcher: Watcher,
    follow: Callable[[Callable[..., Pretrained]], None],
) -> Pretrained:
    """Pretrain FEI on a panel as the embedder's parameters say.

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
    follow : callable
        Given, before training, a function from the records so far, the best weights and their
        epoch to what pretraining would give if it stopped now.

    Returns
    -------
    Pretrained
        Weights and history.
    """
    device = resolve_device(embedder.device)
    chosen = Architecture(embedder.encoder, embedder.stride)
    architecture = chosen if start is None else start.architecture
    seeds = [int(s) for s in np.random.SeedSequence(seed).generate_state(4)]
    with torch_threads(embedder.n_jobs), architecture.random_state(seed, device):
        objective, widths = _objective(embedder, architecture, panel, start, seeds[0])

        def result(objective: FEIObjective, history: list[Record], best_epoch: int) -> Pretrained:
            encoder = objective.encoder.to(device)
            if history or start is None:
                size = batch_size(embedder, len(panel))
                calibrate(encoder, panel, batch_size=size, device=device, seed=seeds[3])
            return Pretrained(
                weights=_arrays(objective),
                stage_widths=widths,
                stride=architecture.stride,
                reference_length=objective.n_timepoints,
                history=list(history),
                best_epoch=best_epoch,
                spread=_spread(encoder, panel, device),
            )

        def so_far(
            history: list[Record], weights: dict[str, torch.Tensor], best_epoch: int
        ) -> Pretrained:
            snapshot = copy.deepcopy(objective)
            snapshot.load_state_dict(weights)
            return result(snapshot, history, best_epoch)

        follow(so_far)
        return result(objective, *_train(embedder, objective, panel, device, seeds[1:3], watcher))


def _objective(
    embedder: Any, architecture: Architecture, panel: Panel, start: Start | None, seed: int
) -> tuple[FEIObjective, tuple[int, ...]]:
    """The objective with its initial weights, and the widths of the encoder's maps."""
    generator = torch.Generator().manual_seed(seed)
    n_channels = panel.values.shape[1]
    encoder = architecture.build(n_channels, generator)
    if embedder.layers == "all":
        check_has_stages(encoder)
    widths = map_widths(encoder, n_channels, panel.max_length)
    objective = FEIObjective(
        encoder,
        width=widths[-1],
        n_timepoints=panel.max_length if start is None else start.reference_length,
        mask_ratio=embedder.mask_ratio,
        mask_kind=embedder.mask_kind,
        n_targets=embedder.n_targets,
        generator=generator,
    )
    if start is not None:
        _load(objective, start.weights)
    return objective, widths


def _train(
    embedder: Any,
    objective: FEIObjective,
    panel: Panel,
    device: torch.device,
    seeds: list[int],
    watcher: Watcher,
) -> tuple[list[Record], int]:
    if embedder.max_epochs == 0:
        objective.eval()
        return [], 0
    options = training_options(embedder, batch_size(embedder, len(panel)), device, seeds[0])
    rows, held_out = split(len(panel), embedder.validation_fraction or 0.0, seeds[1])
    validation = panel.take(held_out) if len(held_out) else None
    result = train(objective, panel.take(rows), options, validation=validation, watcher=watcher)
    return result.history, result.best_epoch


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
        max_epochs=estimator.max_epochs,
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


def _load(objective: FEIObjective, weights: Weights) -> None:
    """Load weights where their shape fits, and the momentum copies with their originals'."""
    state = objective.state_dict()
    for name, array in weights.items():
        for twin in (name, f"target_{name}"):
            if twin in state and state[twin].shape == array.shape:
                state[twin] = torch.from_numpy(np.array(array))
    objective.load_state_dict(state)


def _arrays(objective: FEIObjective) -> Weights:
    """Copies of the weights, less those of the target encoder."""
    state = objective.state_dict().items()
    return {k: v.detach().cpu().numpy().copy() for k, v in state if not k.startswith("target_")}


def _spread(encoder: nn.Module, panel: Panel, device: torch.device) -> float:
    sample = panel.take(np.arange(min(len(panel), COLLAPSE_SAMPLE)))
    if bool((sample.values == sample.values[:1]).all()):
        return float("nan")
    embeddings = embed(Readout(encoder), sample, device=device).astype(np.float64)
    mean_square = max(float((embeddings**2).mean()), np.finfo(np.float64).tiny)
    return float(np.sqrt(embeddings.var(axis=0).mean() / mean_square))


def restore_encoder(embedder: Any) -> nn.Module:
    """A new module with the fitted weights, in evaluation mode, on the CPU."""
    architecture = Architecture.of(embedder)
    n_channels = 1 if embedder.separate_channels_ else embedder.n_channels_in_
    with architecture.random_state(0, torch.device("cpu")):
        module = architecture.build(n_channels)
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
    return Readout(
        encoder,
        embedder._statistics(),
        all_stages=embedder.layers == "all",
        separate_channels=embedder.separate_channels_,
    )


_restored: weakref.WeakKeyDictionary[Any, tuple[Weights, torch.device, nn.Module]]
_restored = weakref.WeakKeyDictionary()


def embed_panel(embedder: Any, panel: Panel) -> np.ndarray:
    """Embeddings of a panel under the fitted weights and the embedder's readout.

    The encoder is kept from call to call, outside the estimator, whose pickle and copies stay plain
    arrays.
    """
    device = resolve_device(embedder.device)
    weights, where, encoder = _restored.get(embedder, (None, None, None))
    if encoder is None or weights is not embedder.weights_ or where != device:
        encoder = restore_encoder(embedder).to(device)
        _restored[embedder] = (embedder.weights_, device, encoder)
    with torch_threads(embedder.n_jobs):
        return embed(build_readout(embedder, encoder), panel, device=device)
