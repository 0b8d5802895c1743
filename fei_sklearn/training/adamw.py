"""AdamW without torch's compiler.

`torch.optim.Optimizer` imports the compiler when one is made: that takes a second, and makes a
folder in the temporary directory, so that nothing could be trained on a read-only system. The
steps here are torch's own function, and so are their bits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

#: Torch's defaults.
BETAS = (0.9, 0.999)
EPS = 1e-8
WEIGHT_DECAY = 0.01

#: AdamW's state of a parameter: the number of its steps and its two moments.
Moments = dict[str, Tensor]


class AnyOptimizer(Protocol):
    """Optimiser as the training loop uses it: ours, or torch's."""

    param_groups: list[dict[str, Any]]

    def zero_grad(self) -> None:
        """Remove the gradients."""

    def step(self) -> Any:
        """Move the parameters."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each parameter by number, under "state"."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""


class AdamW:
    """AdamW on groups of parameters.

    Parameters
    ----------
    groups : iterable of dict
        The parameters of each group under "params", and perhaps its "weight_decay".
    learning_rate : float
        Learning rate of all groups, until the loop sets another.
    fused : bool
        Whether to take torch's fused step, or else its step on all parameters together.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        learning_rate: float,
        fused: bool,
    ) -> None:
        defaults = {
            "lr": learning_rate,
            "weight_decay": WEIGHT_DECAY,
            "fused": fused,
        }
        self.param_groups = [defaults | group for group in groups]
        self._moments: dict[int, Moments] = {}

    def zero_grad(self) -> None:
        """Remove the gradients."""
        for parameter in self._parameters():
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters that have a gradient."""
        number = 0
        for group in self.param_groups:
            trained: list[Tensor] = []
            gradients: list[Tensor] = []
            moments: list[Moments] = []
            for parameter in group["params"]:
                if parameter.grad is not None:
                    trained.append(parameter)
                    gradients.append(parameter.grad)
                    moments.append(self._moments_of(number, parameter))
                number += 1
            adamw(
                trained,
                gradients,
                [moment["exp_avg"] for moment in moments],
                [moment["exp_avg_sq"] for moment in moments],
                [],
                [moment["step"] for moment in moments],
                fused=group["fused"],
                foreach=not group["fused"],
                amsgrad=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                eps=EPS,
                maximize=False,
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the moments of each parameter by number, under "state"."""
        return {"state": dict(self._moments)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore moments, in the dtype and on the device of their parameters."""
        state = state_dict["state"]
        self._moments = {}
        for number, parameter in enumerate(self._parameters()):
            if number in state:
                self._moments[number] = {
                    name: _like(name, value, parameter) for name, value in state[number].items()
                }

    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def _moments_of(
        self,
        number: int,
        parameter: nn.Parameter,
    ) -> Moments:
        """Return the moments of a parameter, which are zero before its first step."""
        if number not in self._moments:
            self._moments[number] = {
                "step": torch.zeros((), dtype=torch.float32),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
        return self._moments[number]


def _like(
    name: str,
    value: Tensor,
    parameter: nn.Parameter,
) -> Tensor:
    if name == "step":
        return value.to(device="cpu", dtype=torch.float32)
    return value.to(device=parameter.device, dtype=parameter.dtype)
