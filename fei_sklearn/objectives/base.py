"""Contracts of what is trained: a loss for the training loop, an encoder for what comes after.

:class:`Objective` is all that :func:`fei_sklearn.training.train` knows of a method.
:class:`PretrainingObjective` adds what an embedder needs: how its encoder is built, which weights
belong to the fitted model, and which ones are momentum copies.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

#: Prefix of momentum copies: the copy of `encoder` is the attribute `target_encoder`.
MOMENTUM_COPY = "target_"

#: Builds an encoder for a number of channels.
BuildEncoder = Callable[..., nn.Module]


class Objective(nn.Module, ABC):
    """Torch module whose forward pass returns the losses of a batch.

    Subclasses implement `forward` and override the defaults that do not hold for them.
    """

    #: Name of the loss that early stopping watches; smaller is better.
    monitor: ClassVar[str] = "loss"
    #: Whether each loss is a mean over the series of a batch, under the masks that `sample_masks`
    #: draws. Only then may several processes share a batch.
    mean_over_series: ClassVar[bool] = False
    #: Whether `state_dict` holds everything that changes from step to step. Only then may a run be
    #: resumed, or a stream go on.
    resumable: ClassVar[bool] = True
    #: Norm at which the loop clips the gradients; None leaves them alone.
    max_gradient_norm: float | None = None

    @abstractmethod
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the losses of a batch.

        Parameters
        ----------
        *args
            The batch: series of shape (n_samples, n_channels, n_timepoints), their lengths of shape
            (n_samples,) or None, and targets if the panel has any.
        **kwargs
            `generator`, the source of all randomness, on the device of the batch; or, where a batch
            is shared, `masks` as `sample_masks` draws them.

        Returns
        -------
        NamedTuple of Tensor
            0-dim tensors by name. `loss` is minimised.
        """

    def sample_masks(
        self, x: Tensor, lengths: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        """Return masks for a batch; only objectives with `mean_over_series` have any."""
        raise NotImplementedError(f"{type(self).__name__} draws no masks.")

    def undecayed(self) -> list[nn.Parameter]:
        """Return the parameters that weight decay leaves alone."""
        return []

    def update_target(self, momentum: float) -> None:
        """Move the momentum copies after an optimiser step; without copies there is nothing to do.

        Parameters
        ----------
        momentum : float
            Weight of a copy in the mean of itself and its original.
        """


class PretrainingObjective(Objective):
    """Objective that trains an encoder without labels.

    Attributes
    ----------
    encoder : torch.nn.Module
        The module that `transform` reads: from (n_samples, n_channels, n_timepoints) to
        (n_samples, width, n_steps).
    n_timepoints : int
        Length of the series that the objective was built for.
    """

    #: Arguments of the constructor beside the encoder, its width, the length and the generator:
    #: parameters of the embedder, and `n_channels`.
    options: ClassVar[tuple[str, ...]] = ()
    #: Backbones whose maps stand side by side in the encoder's map.
    n_backbones: ClassVar[int] = 1

    encoder: nn.Module
    n_timepoints: int

    @staticmethod
    def build_encoder(
        build: BuildEncoder,
        n_channels: int,
        n_timepoints: int,
        generator: torch.Generator | None,
    ) -> nn.Module:
        """Return the encoder to train; by default the one that `build` returns.

        Parameters
        ----------
        build : callable
            From a number of channels, and optionally a `stride`, to an encoder.
        n_channels, n_timepoints : int
            Of the panel.
        generator : torch.Generator or None
            Source of initial weights, on the CPU.
        """
        return build(n_channels)

    def model_state(self) -> dict[str, Tensor]:
        """Return the weights of the fitted model: the whole state but for the momentum copies."""
        state = self.state_dict()
        return {name: value for name, value in state.items() if not _is_momentum_copy(name)}

    def momentum_state(self) -> dict[str, Tensor]:
        """Return the weights of the momentum copies."""
        state = self.state_dict()
        return {name: value for name, value in state.items() if _is_momentum_copy(name)}

    def load_momentum_state(self, state: Mapping[str, Tensor]) -> None:
        """Replace the weights of momentum copies, and leave all other weights as they are."""
        self.load_state_dict(self.state_dict() | dict(state))

    def load_model_state(self, state: Mapping[str, Tensor]) -> None:
        """Load weights where their shapes fit, and the same weights into the momentum copies."""
        merged = self.state_dict()
        for name, value in state.items():
            for target in (name, MOMENTUM_COPY + name):
                if target in merged and merged[target].shape == value.shape:
                    merged[target] = value
        self.load_state_dict(merged)


def _is_momentum_copy(name: str) -> bool:
    return name.startswith(MOMENTUM_COPY)
