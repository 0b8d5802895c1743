"""FEI without one of its parts: the ablations of the article.

Source: Fu and Hu, AAAI 2025, section "Experiments", ablation study. The article names what is left
out; where that leaves a choice, it is stated here.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from fei_sklearn.objectives.fei import FEIObjective


class WithoutEmbeddingInference(FEIObjective):
    """Mask inference alone.

    The gradient of the mask loss then reaches the encoder: in FEI it is stopped there, and nothing
    else would be left to train it.
    """

    branch_weights = (0.0, 1.0)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.embedding_predictor.requires_grad_(False)

    @staticmethod
    def _difference(targets: Tensor, embedded: Tensor) -> Tensor:
        return targets - embedded


class WithoutMaskPrompt(FEIObjective):
    """Embedding inference is not told which frequencies were removed."""

    @staticmethod
    def _prompted(embedded: Tensor, prompt: Tensor) -> Tensor:
        return embedded.expand_as(prompt)


class WithoutMomentum(FEIObjective):
    """The target encoder and projector are the online ones, without gradient.

    Their weights are copied after each step. The copies' batch-norm statistics remain their own.
    """

    def update_target(self, momentum: float) -> None:
        """Copy the online parameters, whatever the momentum."""
        super().update_target(0.0)


class WithoutSubspace(FEIObjective):
    """Both inferences are made among the encoder's own features, without projectors."""

    @staticmethod
    def _subspace_width(width: int) -> int:
        return width

    @staticmethod
    def _projector(width: int) -> nn.Module:
        return nn.Identity()


class WithoutMaskInference(FEIObjective):
    """Embedding inference alone; the prompts, which mask inference trains, stay as drawn."""

    branch_weights = (1.0, 0.0)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.mask_predictor.requires_grad_(False)
        self.prompts.requires_grad_(False)


class WithoutDetach(FEIObjective):
    """Each loss trains all that it depends on: prompts, projector and encoder alike.

    The momentum copies are still without gradient.
    """

    @staticmethod
    def _prompted(embedded: Tensor, prompt: Tensor) -> Tensor:
        return embedded + prompt

    @staticmethod
    def _difference(targets: Tensor, embedded: Tensor) -> Tensor:
        return targets - embedded
