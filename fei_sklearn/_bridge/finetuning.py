"""Fine-tuning in torch: a head on an embedder's encoder, trained with it or on its embeddings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from fei_sklearn._bridge.devices import resolve_device, torch_threads
from fei_sklearn._bridge.pretraining import (
    Architecture,
    Weights,
    build_readout,
    restore_encoder,
    training_options,
)
from fei_sklearn.data import Panel
from fei_sklearn.objectives.supervised import Features, LinearHead, SupervisedObjective
from fei_sklearn.training.loop import train
from fei_sklearn.training.progress import EpochRecord, Watcher


@dataclass(frozen=True)
class HeadArrays:
    """A linear head as arrays, in float64.

    Attributes
    ----------
    centre, scale : ndarray of shape (n_features,)
        By which features are standardised.
    weight : ndarray of shape (n_outputs, n_features)
        On standardised features.
    bias : ndarray of shape (n_outputs,)
        Outputs at the mean of the features.
    penalty : float, default=0.0
        What times the squared distance of the weights from `anchor` joins the loss.
    anchor : ndarray of shape (n_outputs, n_features), default=None
        What the penalty draws the weights to; None without a penalty.
    """

    centre: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    penalty: float = 0.0
    anchor: np.ndarray | None = None

    def on_features(self) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients and intercept on features as they are."""
        coef = self.weight / self.scale
        return coef, self.bias - coef @ self.centre


@dataclass(frozen=True)
class Finetuned:
    """What fine-tuning gives.

    Attributes
    ----------
    weights : dict of str to ndarray, or None
        Of the encoder; None if it was frozen.
    head : HeadArrays
        The trained head.
    history : list of dict
        One record an epoch.
    best_epoch : int
        Epoch of the weights, from 1.
    """

    weights: Weights | None
    head: HeadArrays
    history: list[EpochRecord]
    best_epoch: int


def finetune(
    tuner: Any,
    embedder: Any,
    panel: Panel,
    head: HeadArrays,
    rows: np.ndarray,
    held_out: np.ndarray,
    *,
    class_weight: np.ndarray | None,
    seed: int,
    watcher: Watcher,
) -> Finetuned:
    """Train a head on series and their targets, and unless frozen the encoder with it.

    Parameters
    ----------
    tuner : FEIClassifier or FEIRegressor
        Its parameters are read, nothing is written.
    embedder : FEIEmbedder
        A fitted embedder, from whose weights to start.
    panel : Panel
        Series with targets; embeddings of shape (n_samples, n_features, 1) for a frozen encoder.
    head : HeadArrays
        The head to start from.
    rows, held_out : ndarray of int
        Rows that train and rows that validate, of which there may be none.
    class_weight : ndarray of shape (n_classes,) or None
        Weights of the classes.
    seed : int
        Source of all randomness.
    watcher : Watcher
        Follows the run.

    Returns
    -------
    Finetuned
        Weights, head and history.
    """
    device = resolve_device(tuner.device)
    architecture = Architecture.of(embedder)
    with torch_threads(tuner.n_jobs), architecture.random_state(seed, device):
        frozen = tuner.freeze_encoder
        encoder = None if frozen else restore_encoder(embedder)
        readout = Features() if encoder is None else build_readout(embedder, encoder)
        layer = LinearHead(
            *(_float32(a) for a in (head.centre, head.scale, head.weight, head.bias))
        )
        weight = None if class_weight is None else _float32(class_weight)
        anchor = None if head.anchor is None else _float32(head.anchor)
        objective = SupervisedObjective(readout, layer, weight, head.penalty, anchor)
        history: list[EpochRecord] = []
        best_epoch = 0
        if tuner.max_epochs:
            result = train(
                objective,
                panel.select(rows),
                training_options(tuner, tuner.batch_size, device, seed),
                validation=panel.select(held_out) if len(held_out) else None,
                watcher=watcher,
            )
            history, best_epoch = result.history, result.best_epoch
    state = {} if encoder is None else encoder.state_dict()
    return Finetuned(
        weights={f"encoder.{k}": v.numpy().copy() for k, v in state.items()} or None,
        head=replace(head, weight=_float64(layer.weight), bias=_float64(layer.bias)),
        history=history,
        best_epoch=best_epoch,
    )


def _float32(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32))


def _float64(tensor: torch.Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().cpu().numpy().astype(np.float64)
    return array
