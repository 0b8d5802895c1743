"""Contracts of what is trained: losses for the training loop, an encoder for the embedder.

:class:`Objective` is all that :func:`fei_sklearn.training.train` knows of a method.
:class:`PretrainingObjective` adds what an embedder needs: how its encoder is built, which weights
belong to the fitted model, and which modules are momentum copies.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn


class Losses(Protocol):
    """Losses of a batch: a NamedTuple of 0-dim tensors. Training minimises `loss`."""

    @property
    def loss(self) -> Tensor:
        """Loss whose gradient trains the parameters."""

    @property
    def _fields(self) -> tuple[str, ...]: ...

    def __iter__(self) -> Iterator[Tensor]: ...


class BuildEncoder(Protocol):
    """Function that builds a new encoder, by default with the embedder's stride."""

    def __call__(
        self,
        n_channels: int,
        /,
        stride: int = ...,
    ) -> nn.Module:
        """Return an encoder for series of `n_channels` channels."""


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
    def forward(self, *args: Any, **kwargs: Any) -> Losses:
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
        self,
        x: Tensor,
        lengths: Tensor | None,
        generator: torch.Generator | None,
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

    Subclasses accept ``(encoder, *, width, n_timepoints, generator, **options)``: the encoder, the
    number of its features, the length of the series, the source of initial weights on the CPU, and
    the arguments that the class attribute `options` lists.

    Attributes
    ----------
    encoder : torch.nn.Module
        The module that `transform` reads: from (n_samples, n_channels, n_timepoints) to
        (n_samples, width, n_steps).
    n_timepoints : int
        Length of the series that the objective was built for.
    """

    #: Further arguments of the constructor: parameters of the embedder, and `n_channels`.
    options: ClassVar[tuple[str, ...]] = ()
    #: Backbones whose maps stand side by side in the encoder's map.
    n_backbones: ClassVar[int] = 1
    #: Name of each submodule that is a momentum copy, and the name of its original.
    momentum_copies: ClassVar[Mapping[str, str]] = {}

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
            Shape of the series.
        generator : torch.Generator or None
            Source of initial weights, on the CPU.

        Returns
        -------
        torch.nn.Module
            From (n_samples, n_channels, n_timepoints) to (n_samples, width, n_steps).
        """
        return build(n_channels)

    def model_state(self) -> dict[str, Tensor]:
        """Return the weights of the fitted model: the whole state without the momentum copies."""
        state = self.state_dict()
        return {name: value for name, value in state.items() if not self._is_momentum_copy(name)}

    def momentum_state(self) -> dict[str, Tensor]:
        """Return the weights of the momentum copies."""
        state = self.state_dict()
        return {name: value for name, value in state.items() if self._is_momentum_copy(name)}

    def load_momentum_state(self, state: Mapping[str, Tensor]) -> None:
        """Replace the weights of momentum copies, and leave all other weights as they are."""
        self.load_state_dict(self.state_dict() | dict(state))

    def load_model_state(self, state: Mapping[str, Tensor]) -> None:
        """Load weights where their shapes fit, and the same weights into the momentum copies."""
        merged = self.state_dict()
        for name, value in state.items():
            for target in (name, *self._names_in_copies(name)):
                if target in merged and merged[target].shape == value.shape:
                    merged[target] = value
        self.load_state_dict(merged)

    def _is_momentum_copy(self, name: str) -> bool:
        submodule = name.partition(".")[0]
        return submodule in self.momentum_copies

    def _names_in_copies(self, name: str) -> list[str]:
        """Return the names that a weight has in the momentum copies of its submodule."""
        submodule, _, rest = name.partition(".")
        return [
            f"{copied}.{rest}"
            for copied, original in self.momentum_copies.items()
            if original == submodule
        ]
