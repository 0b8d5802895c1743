"""FEI without one of its components: the ablations of the article.

Source: Fu and Hu, AAAI 2025, section "Experiments", ablation study. The article names what each
ablation leaves out. The docstrings here state how this package fills in the details.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from fei_sklearn.objectives.fei import FEIObjective


class WithoutEmbeddingInference(FEIObjective):
    """Mask inference alone.

    The gradient of the mask loss reaches the encoder, where FEI stops it: no other loss trains the
    encoder here.
    """

    branch_weights = (0.0, 1.0)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.embedding_predictor.requires_grad_(False)

    @staticmethod
    def _difference(targets: Tensor, embedded: Tensor) -> Tensor:
        return targets - embedded


class WithoutMaskPrompt(FEIObjective):
    """Embedding inference without the prompt, which names the removed frequencies."""

    @staticmethod
    def _prompted(embedded: Tensor, prompt: Tensor) -> Tensor:
        return embedded.expand_as(prompt)


class WithoutMomentum(FEIObjective):
    """Targets from the online encoder and projector, without gradient.

    The copies take over the online parameters after each step. They keep batch-norm statistics of
    their own.
    """

    def update_target(self, momentum: float) -> None:
        """Copy the online parameters; `momentum` is ignored."""
        super().update_target(0.0)


class WithoutSubspace(FEIObjective):
    """Both inferences on the encoder's own features, without projectors."""

    @staticmethod
    def _subspace_width(width: int) -> int:
        return width

    @staticmethod
    def _projector(width: int) -> nn.Module:
        return nn.Identity()


class WithoutMaskInference(FEIObjective):
    """Embedding inference alone.

    The prompts keep their initial values, since mask inference alone would train them.
    """

    branch_weights = (1.0, 0.0)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.mask_predictor.requires_grad_(False)
        self.prompts.requires_grad_(False)


class WithoutDetach(FEIObjective):
    """FEI without the stop-gradients on prompts and online embeddings.

    Each loss trains all that it depends on: prompts, projector and encoder. The momentum copies
    still have no gradient.
    """

    @staticmethod
    def _prompted(embedded: Tensor, prompt: Tensor) -> Tensor:
        return embedded + prompt

    @staticmethod
    def _difference(targets: Tensor, embedded: Tensor) -> Tensor:
        return targets - embedded
