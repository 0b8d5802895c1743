"""Supervised objectives: a linear head that is trained with an encoder's readout, or on it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fei_sklearn.objectives.base import Objective


class SupervisedLosses(NamedTuple):
    """Losses of one batch, 0-dim tensors: with the penalty, and without it."""

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

    centre: Tensor
    scale: Tensor

    def __init__(
        self,
        centre: Tensor,
        scale: Tensor,
        weight: Tensor,
        bias: Tensor,
    ) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.register_buffer("scale", scale)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return outputs of shape (n_samples, n_outputs)."""
        standardised = (features - self.centre) / self.scale
        return F.linear(standardised, self.weight, self.bias)


class SupervisedObjective(Objective):
    """Prediction of targets from series, through a readout and a linear head.

    Parameters
    ----------
    readout : torch.nn.Module
        From (x, lengths) to features (n_samples, n_features).
    head : LinearHead
        From features to outputs.
    class_weight : Tensor of shape (n_classes,), default=None
        Weight of each class in the cross-entropy.
    penalty : float, default=0.0
        Weight of the squared distance between the head's weights and `anchor` in the loss.
    anchor : Tensor of shape (n_outputs, n_features), default=None
        Weights that the penalty pulls the head towards; None means that there is no penalty.

    Notes
    -----
    Integer targets are classes, and their loss is the cross-entropy. Floating targets, of shape
    (n_samples, n_outputs), are regressed under the mean squared error.
    """

    monitor = "prediction_loss"

    class_weight: Tensor | None
    anchor: Tensor | None

    def __init__(
        self,
        readout: nn.Module,
        head: LinearHead,
        class_weight: Tensor | None = None,
        penalty: float = 0.0,
        anchor: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.readout = readout
        self.head = head
        self.penalty = penalty
        self.register_buffer("class_weight", class_weight)
        self.register_buffer("anchor", anchor)

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None,
        targets: Tensor,
        weights: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> SupervisedLosses:
        """Return the losses of a batch.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series, zero on padding.
        lengths : Tensor of shape (n_samples,) or None
            Time points of each series, where they differ.
        targets : Tensor of shape (n_samples,), int64, or (n_samples, n_outputs), floating
            Classes, or values.
        weights : Tensor of shape (n_samples,), default=None
            Weights of the series. The loss is then the mean of weight times loss, so that weights
            of mean 1 over the training series keep its size.
        generator : torch.Generator, default=None
            Ignored: nothing is drawn.

        Returns
        -------
        SupervisedLosses
            The loss with the penalty, and the loss of the predictions alone.
        """
        outputs = self.head(self.readout(x, lengths))
        prediction_loss = self._prediction_loss(outputs, targets, weights)
        if self.anchor is None:
            return SupervisedLosses(prediction_loss, prediction_loss)
        distance = (self.head.weight - self.anchor).square().sum()
        loss = prediction_loss + self.penalty * distance
        return SupervisedLosses(loss, prediction_loss)

    def _prediction_loss(self, outputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        reduction = "mean" if weights is None else "none"
        if targets.is_floating_point():
            losses = F.mse_loss(outputs, targets, reduction=reduction)
        else:
            losses = F.cross_entropy(
                outputs, targets, weight=self.class_weight, reduction=reduction
            )
        if weights is None:
            return losses
        losses = losses.reshape(len(weights), -1).mean(dim=1)
        return (weights * losses).mean()

    def train(self, mode: bool = True) -> SupervisedObjective:
        """Set the mode, except for batch norm, which stays in evaluation mode.

        Batch norm keeps the statistics of the pretrained encoder. Statistics of a small panel's
        batches differ so much that fine-tuning would begin by forgetting what was learnt.
        """
        super().train(mode)
        for module in self.readout.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.eval()
        return self


class Features(nn.Module):
    """Readout of series that are features already: (n_samples, n_features, 1) to features."""

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
    ) -> Tensor:
        """Return features of shape (n_samples, n_features); `lengths` is ignored."""
        return x.flatten(1)
