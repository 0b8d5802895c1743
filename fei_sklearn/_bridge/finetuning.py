"""Fine-tuning: a head on an encoder, trained with the encoder or on its embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from fei_sklearn._bridge.building import fitted_encoder_spec, users_random_state
from fei_sklearn._bridge.devices import resolve_device, torch_threads
from fei_sklearn._bridge.divergence import check_converged
from fei_sklearn._bridge.encoding import build_readout, restore_encoder
from fei_sklearn._bridge.first_head import HeadArrays
from fei_sklearn._bridge.front import trainable_front
from fei_sklearn._bridge.pretraining import as_arrays, training_options
from fei_sklearn._bridge.spec import EncodingSpec, FinetuningSpec, OptimisationSpec
from fei_sklearn._bridge.torch_state import own_torch_state
from fei_sklearn._bridge.weight_names import Weights, as_model_weights
from fei_sklearn.data import Panel
from fei_sklearn.objectives.supervised import Features, LinearHead, SupervisedObjective
from fei_sklearn.readout.spec import FrontSpec
from fei_sklearn.training.batches import check_padding
from fei_sklearn.training.loop import train
from fei_sklearn.training.progress import EpochRecord, Watcher

#: Training series on which the outputs of the trained modules are checked.
OUTPUT_SAMPLE = 64


@dataclass(frozen=True)
class Finetuned:
    """Outcome of a fine-tuning.

    Attributes
    ----------
    weights : dict of str to ndarray
        Weights of the encoder, under their names in a model; none if it was frozen.
    head : HeadArrays
        The trained head.
    history : list of dict
        One record per epoch.
    best_epoch : int
        Epoch of the weights, from 1; 0 without training.
    """

    weights: Weights
    head: HeadArrays
    history: list[EpochRecord]
    best_epoch: int


@own_torch_state()
def finetune(
    spec: FinetuningSpec,
    encoding: EncodingSpec,
    panel: Panel,
    head: HeadArrays,
    rows: np.ndarray,
    held_out: np.ndarray,
    watcher: Watcher,
) -> Finetuned:
    """Train a head on series and their targets, and unless frozen the encoder with it.

    Parameters
    ----------
    spec : FinetuningSpec
        The fine-tuning.
    encoding : EncodingSpec
        The fitted model to start from, and its readout.
    panel : Panel
        Series with targets; embeddings of shape (n_samples, n_features, 1) for a frozen encoder.
    head : HeadArrays
        The head to start from.
    rows, held_out : ndarray of int
        Rows that train, and rows that validate. The latter may be empty.
    watcher : Watcher
        Follows the run.

    Returns
    -------
    Finetuned
        Weights, head and history.

    Raises
    ------
    ValueError
        If a loss is not finite, or a batch is too large for the device's memory.
    """
    device = resolve_device(spec.machine.device)
    encoder_spec = fitted_encoder_spec(encoding.model)
    threads = torch_threads(spec.machine.n_jobs)
    random_state = users_random_state(encoder_spec, spec.seed, device)
    history: list[EpochRecord] = []
    best_epoch = 0
    with threads, random_state:
        encoder = None
        readout: nn.Module = Features()
        if not spec.freeze_encoder:
            encoder = restore_encoder(encoding.model)
            readout = _trainable_readout(encoding, encoder)
        objective = _objective(readout, head, spec.class_weight)
        if spec.optimisation.max_epochs:
            batch_size = spec.optimisation.batch_size_for(len(rows))
            options = training_options(spec.optimisation, batch_size, device, spec.seed)
            training = panel.select(rows)
            validation = panel.select(held_out) if len(held_out) else None
            result = train(objective, training, options, validation=validation, watcher=watcher)
            history = result.history
            best_epoch = result.best_epoch
            check_converged(_trained_arrays(objective, training), options.learning_rate)
    weights = {}
    if encoder is not None:
        weights = as_model_weights(as_arrays(encoder.state_dict()))
    trained = objective.head
    return Finetuned(
        weights=weights,
        head=replace(head, weight=_float64(trained.weight), bias=_float64(trained.bias)),
        history=history,
        best_epoch=best_epoch,
    )


def check_batches(optimisation: OptimisationSpec, panel: Panel) -> None:
    """Raise a ValueError if one long series would multiply the size of a batch."""
    if optimisation.max_epochs:
        check_padding(panel, optimisation.batch_size_for(len(panel)))


def _trainable_readout(encoding: EncodingSpec, encoder: nn.Module) -> nn.Module:
    """Return the readout of an encoder, with gradients."""
    spec = encoding.readout
    if isinstance(spec, FrontSpec):
        return trainable_front(encoding.model, spec, encoder, encoding.n_components)
    return build_readout(encoding.model, spec, encoder)


def _objective(
    readout: nn.Module, head: HeadArrays, class_weight: np.ndarray | None
) -> SupervisedObjective:
    """Return the objective that trains a head on a readout."""
    layer = LinearHead(
        centre=_float32(head.centre),
        scale=_float32(head.scale),
        weight=_float32(head.weight),
        bias=_float32(head.bias),
    )
    return SupervisedObjective(
        readout,
        layer,
        class_weight=_optional_float32(class_weight),
        penalty=head.penalty,
        anchor=_optional_float32(head.anchor),
    )


@torch.inference_mode()
def _trained_arrays(objective: SupervisedObjective, panel: Panel) -> Iterator[np.ndarray]:
    """Yield the weights of an objective on the CPU, and its outputs on training series."""
    yield from as_arrays(objective.state_dict()).values()
    n_series = min(len(panel), OUTPUT_SAMPLE)
    series, lengths, *_ = panel.take(np.arange(n_series)).batch(torch.device("cpu"))
    yield objective.head(objective.readout(series, lengths)).numpy()


def _float32(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32))


def _optional_float32(array: np.ndarray | None) -> torch.Tensor | None:
    if array is None:
        return None
    return _float32(array)


def _float64(tensor: torch.Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().cpu().numpy().astype(np.float64)
    return array
