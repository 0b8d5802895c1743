"""Pretraining: from a spec and a panel to the arrays of a fitted model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import nn

from fei_sklearn._bridge.building import build_encoder, fitted_encoder_spec, users_random_state
from fei_sklearn._bridge.devices import (
    Devices,
    resolve_devices,
    resolve_precision,
    torch_threads,
)
from fei_sklearn._bridge.divergence import check_converged
from fei_sklearn._bridge.front import front_arrays, front_kernels, warn_of_missing_axes
from fei_sklearn._bridge.launch import TrainingRun, train_on
from fei_sklearn._bridge.seeds import PretrainingSeeds
from fei_sklearn._bridge.spec import EncoderSpec, FittedModel, OptimisationSpec, PretrainingSpec
from fei_sklearn._bridge.torch_state import own_torch_state
from fei_sklearn._bridge.weight_names import Weights, bias_name
from fei_sklearn._files import refuse_empty
from fei_sklearn.data import Panel
from fei_sklearn.encoder.maps import check_has_layers, map_widths
from fei_sklearn.inference import embed
from fei_sklearn.objectives import objective_class
from fei_sklearn.objectives.base import PretrainingObjective
from fei_sklearn.readout.biases import fit_biases
from fei_sklearn.readout.pooling import Readout
from fei_sklearn.training.batches import rows_to_pad, split
from fei_sklearn.training.calibration import calibrate
from fei_sklearn.training.checkpointing import RunFolder
from fei_sklearn.training.fingerprints import run_fingerprint
from fei_sklearn.training.options import TrainingOptions
from fei_sklearn.training.progress import EpochRecord, Watcher

#: Series whose embeddings are compared to detect a collapse.
COLLAPSE_SAMPLE = 256

#: Series whose maps give the biases of "ppv" as quantiles.
BIAS_SAMPLE = 64


@dataclass(frozen=True)
class Pretrained:
    """Outcome of a pretraining, at its end or so far.

    Attributes
    ----------
    weights : dict of str to ndarray
        Weights of the encoder ("encoder.*") and what a readout needs besides, such as the biases
        of "ppv"; and weights of what trained it, such as prompts and heads.
    stage_widths : tuple of int
        Features of the encoder's maps.
    stride : int
        Stride of the encoder's stages.
    architecture : str
        Architecture of the encoder, if it is one of the package's.
    objective : str
        Name of the objective.
    reference_length : int
        Length that the objective was built for; FEI's prompts stand at its frequencies.
    history : list of dict
        One record per epoch.
    best_epoch : int
        Epoch of the weights, from 1; 0 without training.
    relative_deviation : float
        Standard deviation of the embeddings of training series, relative to their size; NaN where
        there are no two different series.
    n_fitted_axes : int or None, default=None
        Principal axes that the panel has, of those that were wanted; None if none were fitted.
    """

    weights: Weights
    stage_widths: tuple[int, ...]
    stride: int
    architecture: str
    objective: str
    reference_length: int
    history: list[EpochRecord]
    best_epoch: int
    relative_deviation: float
    n_fitted_axes: int | None = None


#: From the records so far, the best weights and their epoch to the outcome if training stopped.
OutcomeSoFar = Callable[[list[EpochRecord], dict[str, torch.Tensor], int], Pretrained]


@own_torch_state()
def pretrain(
    spec: PretrainingSpec,
    panel: Panel,
    start: FittedModel | None,
    watcher: Watcher,
    follow: Callable[[OutcomeSoFar], None] | None = None,
) -> Pretrained:
    """Pretrain on a panel.

    Parameters
    ----------
    spec : PretrainingSpec
        The pretraining.
    panel : Panel
        Training series.
    start : FittedModel or None
        Model to start from. Weights of another shape than the spec's are drawn again.
    watcher : Watcher
        Follows the run.
    follow : callable, default=None
        Called before training with a function that returns the outcome if training stopped now.

    Returns
    -------
    Pretrained
        Weights and history.

    Raises
    ------
    ValueError
        If a setting, the encoder or the panel is out of bounds, or a loss is not finite.
    RuntimeError
        If one of several processes was killed.
    """
    with prepared(spec, panel, start) as pretraining:
        if follow is not None:
            follow(pretraining.outcome_so_far)
        history, best_epoch = pretraining.train(watcher)
        outcome = pretraining.outcome(history, best_epoch)
    warn_of_missing_axes(spec.n_components, outcome.n_fitted_axes)
    return outcome


@contextmanager
def prepared(
    spec: PretrainingSpec, panel: Panel, start: FittedModel | None
) -> Iterator[Pretraining]:
    """Build a pretraining, and run a block under its number of threads and random state."""
    machine = spec.machine
    devices = resolve_devices(machine.n_devices, machine.device)
    encoder_spec = spec.encoder
    if start is not None:
        encoder_spec = fitted_encoder_spec(start)
    threads = torch_threads(machine.n_jobs)
    random_state = users_random_state(encoder_spec, spec.seed, devices.own)
    with threads, random_state:
        yield Pretraining(spec, panel, start, encoder_spec, devices)


class Pretraining:
    """An objective with its initial weights, the panel and the devices that it is trained on.

    Parameters
    ----------
    spec : PretrainingSpec
        The pretraining.
    panel : Panel
        Training series.
    start : FittedModel or None
        Model to start from.
    encoder_spec : EncoderSpec
        Architecture of the encoder: the spec's, or the model's.
    devices : Devices
        Where to train.
    """

    def __init__(
        self,
        spec: PretrainingSpec,
        panel: Panel,
        start: FittedModel | None,
        encoder_spec: EncoderSpec,
        devices: Devices,
    ) -> None:
        self.spec = spec
        self.panel = panel
        self.start = start
        self.encoder_spec = encoder_spec
        self.devices = devices
        self.seeds = PretrainingSeeds.from_seed(spec.seed)
        self.batch_size = spec.optimisation.batch_size_for(len(panel))
        self.objective_name = spec.objective
        self.reference_length = panel.max_length
        if start is not None:
            self.objective_name = start.objective
            self.reference_length = start.reference_length
        self.objective, self.stage_widths = self._build_objective()
        if start is not None:
            weights = {
                name: torch.from_numpy(np.array(array)) for name, array in start.weights.items()
            }
            self.objective.load_model_state(weights)

    def _build_objective(self) -> tuple[PretrainingObjective, tuple[int, ...]]:
        """Return the objective with new weights, and the widths of its encoder's maps."""
        generator = torch.Generator().manual_seed(self.seeds.initial_weights)
        n_channels = self.panel.values.shape[1]
        encoder = build_encoder(
            self.objective_name, self.encoder_spec, n_channels, self.reference_length, generator
        )
        check_has_layers(encoder, self.spec.layers)
        stage_widths = map_widths(encoder, n_channels, self.panel.max_length)
        kind = objective_class(self.objective_name)
        available = {**self.spec.objective_options, "n_channels": n_channels}
        objective = kind(
            encoder,
            width=stage_widths[-1],
            n_timepoints=self.reference_length,
            generator=generator,
            **{option: available[option] for option in kind.options},
        )
        return objective, stage_widths

    def options(self) -> TrainingOptions:
        """Return the options of a training run on this process's device."""
        optimisation = self.spec.optimisation
        return training_options(
            optimisation, self.batch_size, self.devices.own, self.seeds.training
        )

    def train(self, watcher: Watcher) -> tuple[list[EpochRecord], int]:
        """Train the objective in place, and return the records and the epoch of its weights."""
        if self.spec.optimisation.max_epochs == 0:
            self.objective.eval()
            return [], 0
        options = replace(self.options(), n_devices=self.devices.count)
        rows, held_out = split(
            len(self.panel), self.spec.validation_fraction, self.seeds.validation_split
        )
        training = self.panel.select(rows)
        validation = None
        if len(held_out):
            validation = self.panel.select(held_out)
        run_folder = self._run_folder(options, training, validation)
        run = TrainingRun(self.objective, training, options, validation, run_folder)
        return train_on(self.devices, run, self.spec, watcher)

    def _run_folder(
        self, options: TrainingOptions, training: Panel, validation: Panel | None
    ) -> RunFolder | None:
        """Return the folder in which the run keeps its state, if it keeps any."""
        spec = self.spec
        if spec.checkpoint_dir is None:
            return None
        refuse_empty(spec.checkpoint_dir, "checkpoint_dir")
        if not spec.is_repeatable:
            raise ValueError(
                f"checkpoint_dir={str(spec.checkpoint_dir)!r} needs a random_state, got None: only "
                "a fit with the same random_state can resume an earlier one."
            )
        settings = {
            name: spec.objective_options[name]
            for name in self.objective.options
            if name in spec.objective_options
        }
        settings |= asdict(options)
        # a run may be resumed on other devices of the same type, and on another number of them
        settings["device"] = options.device.type
        del settings["n_devices"]
        panels = [training]
        if validation is not None:
            panels.append(validation)
        # trying a user's own encoder must not move the random state that its training draws from
        with users_random_state(self.encoder_spec, 0, torch.device("cpu")):
            fingerprint = run_fingerprint(self.objective, panels, settings)
        return RunFolder(
            spec.checkpoint_dir,
            fingerprint,
            global_random_state=callable(spec.encoder.size),
        )

    def outcome(
        self,
        history: list[EpochRecord],
        best_epoch: int,
        objective: PretrainingObjective | None = None,
    ) -> Pretrained:
        """Return the fitted model, with batch norm and biases of the panel.

        Parameters
        ----------
        history : list of dict
            Records of the epochs trained.
        best_epoch : int
            Epoch of the weights, from 1; 0 without training.
        objective : PretrainingObjective, default=None
            The trained objective; None is the pretraining's own.
        """
        if objective is None:
            objective = self.objective
        device = self.devices.own
        encoder = objective.encoder.to(device)
        recalibrates = bool(history) or self.start is None or self.spec.recalibrates
        if recalibrates:
            calibrate(
                encoder,
                self.panel,
                batch_size=self.batch_size,
                device=device,
                seed=self.seeds.calibration,
            )
        weights = as_arrays(objective.model_state()) | _biases(encoder, self.panel, device)
        embeddings = _sample_embeddings(encoder, self.panel, device)
        learning_rate = self.spec.optimisation.learning_rate
        check_converged([*weights.values(), embeddings], learning_rate)
        n_fitted_axes = None
        kernels = front_kernels(encoder)
        if kernels is not None:
            front = front_arrays(
                kernels,
                self.panel,
                start=self.start,
                recalibrates=recalibrates,
                n_components=self.spec.n_components,
            )
            weights |= front.weights
            n_fitted_axes = front.n_fitted_axes
        return Pretrained(
            weights=weights,
            stage_widths=self.stage_widths,
            stride=self.encoder_spec.stride,
            architecture=self.encoder_spec.architecture,
            objective=self.objective_name,
            reference_length=objective.n_timepoints,
            history=list(history),
            best_epoch=best_epoch,
            relative_deviation=_relative_deviation(embeddings, self.panel),
            n_fitted_axes=n_fitted_axes,
        )

    def outcome_so_far(
        self, history: list[EpochRecord], weights: dict[str, torch.Tensor], best_epoch: int
    ) -> Pretrained:
        """Return the fitted model if training stopped now; the training goes on undisturbed."""
        snapshot = copy.deepcopy(self.objective)
        snapshot.load_state_dict(weights)
        return self.outcome(history, best_epoch, snapshot)


def training_options(
    optimisation: OptimisationSpec, batch_size: int, device: torch.device, seed: int
) -> TrainingOptions:
    """Return the options of a training run on a device."""
    return TrainingOptions(
        max_epochs=optimisation.max_epochs,
        min_epoch_steps=optimisation.min_epoch_steps,
        batch_size=batch_size,
        learning_rate=optimisation.learning_rate,
        lr_decay=optimisation.lr_decay,
        momentum=optimisation.momentum,
        n_iter_no_change=optimisation.n_iter_no_change,
        device=device,
        precision=resolve_precision(optimisation.precision, device),
        seed=seed,
    )


def as_arrays(state: dict[str, torch.Tensor]) -> Weights:
    """Return copies of tensors as read-only arrays, which need no look for changes in place."""
    arrays = {}
    for name, tensor in state.items():
        array = tensor.detach().cpu().numpy().copy()
        array.flags.writeable = False
        arrays[name] = array
    return arrays


def _biases(encoder: nn.Module, panel: Panel, device: torch.device) -> Weights:
    """Return the "ppv" biases of each view, on all maps of series from all over the panel."""
    rows = np.unique(np.linspace(0, len(panel) - 1, BIAS_SAMPLE).astype(np.int64))
    sample = panel.take(rows_to_pad(panel, rows))
    biases = fit_biases(encoder, *sample.batch(device))
    return {
        bias_name(view): torch.cat(by_map, dim=1).cpu().numpy() for view, by_map in biases.items()
    }


def _sample_embeddings(encoder: nn.Module, panel: Panel, device: torch.device) -> np.ndarray:
    """Return the embeddings of the first series of a panel, in float64."""
    sample = _first_series(panel)
    return embed(Readout(encoder), sample, device=device).astype(np.float64)


def _first_series(panel: Panel) -> Panel:
    n_series = min(len(panel), COLLAPSE_SAMPLE)
    rows = np.arange(n_series)
    return panel.take(rows_to_pad(panel, rows))


def _relative_deviation(embeddings: np.ndarray, panel: Panel) -> float:
    """Return the standard deviation of embeddings over the series, relative to their size."""
    values = _first_series(panel).values
    first = np.broadcast_to(values[:1], values.shape)
    if np.array_equal(values, first):
        return float("nan")
    mean_square = max(float((embeddings**2).mean()), np.finfo(np.float64).tiny)
    variance = embeddings.var(axis=0).mean()
    return float(np.sqrt(variance / mean_square))
