"""Projection heads."""

from __future__ import annotations

import torch
from tensors import noise
from torch.nn import functional as F

from fei_sklearn.objectives.rivals.projection import ProjectionHead


def test_a_head_is_linear_norm_relu_linear() -> None:
    head = ProjectionHead(4, 6, 3).double()
    h = noise(5, 4)
    inner = h @ head.inner.weight.T + head.inner.bias
    mean = inner.mean(dim=0)
    variance = inner.var(dim=0, correction=0)
    normalised = (inner - mean) / (variance + head.norm.eps).sqrt()
    hidden = F.relu(normalised)
    expected = hidden @ head.outer.weight.T + head.outer.bias
    torch.testing.assert_close(head.hidden(h), hidden)
    torch.testing.assert_close(head(h), expected)


def test_a_single_row_is_projected_with_the_running_statistics() -> None:
    head = ProjectionHead(4, 6, 3).double()
    row = noise(1, 4)
    in_training = head.train()(row)
    torch.testing.assert_close(in_training, head.eval()(row))
