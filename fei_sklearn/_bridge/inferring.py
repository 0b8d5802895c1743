"""Masks and inferences of FEI as arrays, for pictures."""

from __future__ import annotations

import numpy as np
import torch

from fei_sklearn._bridge.pretraining import prepared
from fei_sklearn._bridge.spec import FittedModel, PretrainingSpec
from fei_sklearn._bridge.stream import split_state
from fei_sklearn._bridge.torch_state import own_torch_state
from fei_sklearn._bridge.weight_names import Weights
from fei_sklearn.data import Panel
from fei_sklearn.masking import MaskKind, MaskRatio, apply_mask, n_positions, sample_mask
from fei_sklearn.objectives.fei import FEIObjective
from fei_sklearn.objectives.networks import mean_embedding


@own_torch_state()
def mask_and_target(
    series: np.ndarray, mask_ratio: MaskRatio, mask_kind: MaskKind, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a mask of a series, and its target series.

    Parameters
    ----------
    series : ndarray of shape (n_timepoints,), float64
        One channel of a series.
    mask_ratio, mask_kind
        As in :func:`fei_sklearn.masking.sample_mask`.
    seed : int
        Seed of the mask.

    Returns
    -------
    mask : ndarray of shape (n_positions,), bool
        True where the mask keeps.
    target : ndarray of shape (n_timepoints,), float64
        The series after the mask.
    """
    x = torch.from_numpy(series)[None, None]
    generator = torch.Generator().manual_seed(seed)
    positions = n_positions(len(series), mask_kind)
    mask = sample_mask(1, positions, mask_ratio, mask_kind, generator=generator)
    target = apply_mask(x, mask.to(x.dtype), mask_kind)
    return mask[0, 0].numpy() > 0, target[0, 0, 0].numpy()


@own_torch_state()
def infer_targets(
    spec: PretrainingSpec, panel: Panel, model: FittedModel, state: Weights, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return projected embeddings of series, of target series, and the inferred ones.

    Parameters
    ----------
    spec : PretrainingSpec
        Parameters of the embedder.
    panel : Panel
        Series.
    model : FittedModel
        The fitted model.
    state : dict of str to ndarray
        State of its stream, with the momentum copies, which embed the target series.
    seed : int
        Seed of the masks.

    Returns
    -------
    tuple of three ndarray of shape (n_samples, width // 2), float64
        Embeddings of series, of target series, and those inferred from the series and the masks.

    Raises
    ------
    TypeError
        If the model was trained by another method than FEI.
    """
    with prepared(spec, panel, model) as pretraining, torch.no_grad():
        objective = pretraining.objective
        if not isinstance(objective, FEIObjective):
            raise TypeError(f"{model.objective!r} infers no target embeddings.")
        objective.eval()
        momentum_state, _ = split_state(state)
        objective.load_momentum_state(momentum_state)
        x, lengths = panel.batch(torch.device("cpu"))
        generator = torch.Generator().manual_seed(seed)
        masks = objective.sample_masks(x, lengths, generator)
        inference = objective.infer(x, masks, lengths)
        embedded = objective.projector(mean_embedding(objective.encoder, x, lengths))
    arrays = (embedded, inference.target[:, 0], inference.inferred_target[:, 0])
    series, target, inferred = (array.double().numpy() for array in arrays)
    return series, target, inferred
