"""Projection heads: linear, batch norm, ReLU, linear."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from fei_sklearn.encoder.layers import MaskedBatchNorm1d


class ProjectionHead(nn.Module):
    """Two linear layers with batch norm and ReLU between them.

    Parameters
    ----------
    width, hidden, out : int
        Features that come in, that are in between, and that go out.
    """

    def __init__(self, width: int, hidden: int, out: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, hidden)
        self.norm = MaskedBatchNorm1d(hidden)  # a single row leaves it as it is
        self.outer = nn.Linear(hidden, out)

    def hidden(self, h: Tensor) -> Tensor:
        """What the last layer takes, of shape (n_samples, hidden)."""
        return F.relu(self.norm(self.inner(h)[:, :, None])[:, :, 0])

    def forward(self, h: Tensor) -> Tensor:
        """From (n_samples, width) to (n_samples, out)."""
        out: Tensor = self.outer(self.hidden(h))
        return out
