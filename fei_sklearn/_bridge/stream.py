"""Pretraining on the chunks of a stream, one after the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from fei_sklearn._bridge.divergence import check_converged
from fei_sklearn._bridge.front import warn_of_missing_axes
from fei_sklearn._bridge.pretraining import Pretrained, as_arrays, prepared
from fei_sklearn._bridge.spec import FittedModel, PretrainingSpec
from fei_sklearn._bridge.torch_state import own_torch_state
from fei_sklearn._bridge.weight_names import Weights
from fei_sklearn.data import Panel
from fei_sklearn.training.loop import train
from fei_sklearn.training.progress import Watcher

#: Prefix of AdamW's moments in the state of a stream; all other names are momentum copies'.
_MOMENTS = "moments."


@own_torch_state()
def pretrain_on(
    spec: PretrainingSpec,
    panel: Panel,
    start: FittedModel | None,
    state: Weights | None,
    watcher: Watcher,
) -> tuple[Pretrained, Weights]:
    """Pretrain on a chunk for one epoch, under a constant learning rate and momentum.

    Parameters
    ----------
    spec : PretrainingSpec
        The pretraining.
    panel : Panel
        Series of the chunk; all of them train.
    start : FittedModel or None
        Model to continue from; None draws new weights.
    state : dict of str to ndarray, or None
        State after the last chunk; None for the first.
    watcher : Watcher
        Follows the epoch.

    Returns
    -------
    outcome : Pretrained
        Weights, with batch-norm statistics and biases of this chunk, and one record.
    state : dict of str to ndarray
        For the next chunk: the weights of the momentum copies, and AdamW's moments.

    Raises
    ------
    ValueError
        If the objective keeps more than its weights from step to step.
    """
    with prepared(spec, panel, start) as pretraining:
        objective = pretraining.objective
        if not objective.resumable:
            raise ValueError(
                f"{type(objective).__name__} keeps more than its weights from step to step, so it "
                "cannot be trained on a stream: use fit."
            )
        options = replace(
            pretraining.options(), max_epochs=1, lr_decay=1.0, n_iter_no_change=None, endless=True
        )
        moments = None
        if state is not None:
            momentum_state, moments = split_state(state)
            objective.load_momentum_state(momentum_state)
        result = train(objective, panel, options, watcher=watcher, moments=moments)
        next_state = _join_state(objective.momentum_state(), result.moments)
        check_converged(next_state.values(), options.learning_rate)
        outcome = pretraining.outcome(result.history, result.best_epoch)
    warn_of_missing_axes(spec.n_components, outcome.n_fitted_axes)
    return outcome, next_state


def split_state(state: Weights) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return the weights of the momentum copies, and AdamW's moments."""
    momentum_state = {}
    moments = {}
    for name, array in state.items():
        tensor = torch.from_numpy(np.array(array))
        if name.startswith(_MOMENTS):
            moments[name.removeprefix(_MOMENTS)] = tensor
        else:
            momentum_state[name] = tensor
    return momentum_state, moments


def _join_state(
    momentum_state: dict[str, torch.Tensor], moments: dict[str, torch.Tensor]
) -> Weights:
    """Return the state that :func:`split_state` splits again."""
    named_moments = {f"{_MOMENTS}{name}": tensor for name, tensor in moments.items()}
    return as_arrays(named_moments | momentum_state)
