"""Projection heads: linear, batch norm, ReLU, linear."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from fei_sklearn.encoder.layers import MaskedBatchNorm1d


class ProjectionHead(nn.Module):
    """Two linear layers with batch norm and ReLU between them.

    Parameters
    ----------
    width : int
        Number of features of the input.
    hidden : int
        Number of features between the layers.
    out : int
        Number of features of the output.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        out: int,
    ) -> None:
        super().__init__()
        self.inner = nn.Linear(width, hidden)
        # torch's own batch norm refuses a batch of one row
        self.norm = MaskedBatchNorm1d(hidden)
        self.outer = nn.Linear(hidden, out)

    def hidden(self, h: Tensor) -> Tensor:
        """Return the input of the last layer, of shape (n_samples, hidden)."""
        inner = self.inner(h)
        as_map = inner.unsqueeze(2)
        normalised = self.norm(as_map).squeeze(2)
        return F.relu(normalised)

    def forward(self, h: Tensor) -> Tensor:
        """Return the projection of shape (n_samples, out) of rows (n_samples, width)."""
        hidden = self.hidden(h)
        projected: Tensor = self.outer(hidden)
        return projected
