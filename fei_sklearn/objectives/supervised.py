"""Supervised objectives: a linear head on an encoder's readout, trained with it or on it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fei_sklearn.objectives.base import Objective


class SupervisedLosses(NamedTuple):
    """Losses of one batch, 0-dim tensors: what goes down, and what it is without the penalty."""

    loss: Tensor
    prediction_loss: Tensor


class LinearHead(nn.Module):
    """Linear map of standardised features.

    Parameters
    ----------
    centre, scale : Tensor of shape (n_features,)
        Mean and standard deviation of the features on the training series, held fixed.
    weight : Tensor of shape (n_outputs, n_features)
        Initial weights.
    bias : Tensor of shape (n_outputs,)
        Initial bias.
    """

    def __init__(self, centre: Tensor, scale: Tensor, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.centre: Tensor
        self.scale: Tensor
        self.register_buffer("centre", centre)
        self.register_buffer("scale", scale)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(self, features: Tensor) -> Tensor:
        """Outputs of shape (n_samples, n_outputs)."""
        return F.linear((features - self.centre) / self.scale, self.weight, self.bias)


class SupervisedObjective(Objective):
    """Predict targets from series through a readout and a linear head.

    Parameters
    ----------
    readout : torch.nn.Module
        From (x, lengths) to features (n_samples, n_features).
    head : LinearHead
        From features to outputs.
    class_weight : Tensor of shape (n_classes,), default=None
        Weight of each class in the cross-entropy.
    penalty : float, default=0.0
        What times the squared distance of the head's weights from `anchor` joins the loss.
    anchor : Tensor of shape (n_outputs, n_features), default=None
        Weights that the penalty draws to; None where there is no penalty.

    Notes
    -----
    Integer targets are classes, and the loss is the cross-entropy; floating targets, of shape
    (n_samples, n_outputs), are regressed under the mean squared error.
    """

    monitor = "prediction_loss"

    def __init__(
        self,
        readout: nn.Module,
        head: LinearHead,
        class_weight: Tensor | None = None,
        penalty: float = 0.0,
        anchor: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.readout, self.head, self.penalty = readout, head, penalty
        self.class_weight: Tensor | None
        self.anchor: Tensor | None
        self.register_buffer("class_weight", class_weight)
        self.register_buffer("anchor", anchor)

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None,
        targets: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> SupervisedLosses:
        """Losses of a batch; `generator` is there for objectives that draw something."""
        outputs = self.head(self.readout(x, lengths))
        if targets.is_floating_point():
            error = F.mse_loss(outputs, targets)
        else:
            error = F.cross_entropy(outputs, targets, weight=self.class_weight)
        if self.anchor is None:
            return SupervisedLosses(error, error)
        distance = (self.head.weight - self.anchor).square().sum()
        return SupervisedLosses(error + self.penalty * distance, error)

    def train(self, mode: bool = True) -> SupervisedObjective:
        """Set the mode, but batch norm keeps the statistics of the encoder as it came.

        Those of a batch of a small panel differ so much from them that fine-tuning would first of
        all forget what was learnt.
        """
        super().train(mode)
        for module in self.readout.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.eval()
        return self


class Features(nn.Module):
    """The readout of what is embedded already: (n_samples, n_features, 1) to its features."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Features of shape (n_samples, n_features)."""
        return x.flatten(1)
