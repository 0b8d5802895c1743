"""Statistics and batch norm of a shared batch, against those of one process."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from tensors import noise
from torch import Tensor
from torch.nn import functional as F

from fei_sklearn.encoder import batch_statistics
from fei_sklearn.encoder.batch_statistics import (
    batch_is_shared,
    batch_norm,
    combined_statistics,
    shared_batch,
    variance,
)

EPS = 1e-5
#: Series of the first process; the second one has the rest.
N_FIRST = 3


class Group:
    """Two threads in place of the processes of a group."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(2, timeout=60)
        self.sent: list[Tensor] = [torch.empty(0), torch.empty(0)]
        self.rank = threading.local()

    def get_world_size(self) -> int:
        return 2

    def all_gather(self, outs: list[Tensor], own: Tensor) -> None:
        self.sent[self.rank.value] = own.clone()
        self.barrier.wait()
        for out, sent in zip(outs, self.sent, strict=True):
            out.copy_(sent)
        self.barrier.wait()

    def all_reduce(self, own: Tensor) -> None:
        outs = [torch.empty_like(own), torch.empty_like(own)]
        self.all_gather(outs, own)
        own.copy_(outs[0] + outs[1])


@pytest.fixture
def on_both(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], object]], list]:
    """Return a function that calls another as ranks 0 and 1 of a shared batch."""
    group = Group()
    monkeypatch.setattr(batch_statistics, "distributed", group)

    def call(compute: Callable[[int], object]) -> list:
        results: list = [None, None]

        def work(rank: int) -> None:
            group.rank.value = rank
            try:
                with shared_batch():
                    results[rank] = compute(rank)
            except BaseException:
                group.barrier.abort()
                raise

        threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    return call


def share(values: Tensor, rank: int) -> Tensor:
    return values[:N_FIRST] if rank == 0 else values[N_FIRST:]


def test_a_batch_is_shared_within_the_block_alone() -> None:
    assert not batch_is_shared()
    with shared_batch():
        assert batch_is_shared()
    assert not batch_is_shared()
    with pytest.raises(ValueError, match="inside"), shared_batch():
        raise ValueError("inside")
    assert not batch_is_shared()


def test_combined_statistics_are_those_of_all_values(on_both: Callable) -> None:
    values = noise(8, 4) + 10

    def combine(rank: int) -> batch_statistics.Statistics:
        own = share(values, rank)
        return combined_statistics(torch.tensor(len(own)), own.mean(0), own.var(0, correction=0))

    first, second = on_both(combine)
    assert first.n == 8
    torch.testing.assert_close(first.mean, values.mean(0))
    torch.testing.assert_close(first.variance, values.var(0, correction=0))
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)


def test_variance_is_over_the_whole_batch(on_both: Callable) -> None:
    values = noise(8, 2, 4)
    expected = values.numpy().var(axis=(0, 1))
    np.testing.assert_allclose(variance(values).numpy(), expected)
    for actual in on_both(lambda rank: variance(share(values, rank))):
        np.testing.assert_allclose(actual.numpy(), expected)


def masked_batch_norm(x: Tensor, weight: Tensor, bias: Tensor, valid: Tensor) -> Tensor:
    """Return batch norm over the steps at which `valid` is 1, in one process."""
    n = valid.sum()
    mean = (x * valid).sum(dim=(0, 2)) / n
    centred = x - mean[:, None]
    own_variance = (centred * valid).square().sum(dim=(0, 2)) / n
    scale = weight / (own_variance + EPS).sqrt()
    return centred * scale[:, None] + bias[:, None]


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_batch_norm_and_its_gradients_are_those_of_one_process(
    masked: bool,
    on_both: Callable,
) -> None:
    x = noise(8, 4, 9)
    weight = noise(4, seed=1)
    bias = noise(4, seed=2)
    slopes = noise(8, 4, 9, seed=3)
    valid = torch.ones(8, 1, 9, dtype=torch.float64)
    if masked:
        lengths = torch.tensor([9, 4, 7, 2, 9, 5, 1, 6])
        valid = (torch.arange(9) < lengths[:, None]).double()[:, None]
        slopes = slopes * valid

    def shared(rank: int) -> tuple[Tensor, ...]:
        own = share(x, rank).clone().requires_grad_()
        leaves = (own, weight.clone().requires_grad_(), bias.clone().requires_grad_())
        own_valid = share(valid, rank) if masked else None
        out, mean, whole_variance, n = batch_norm(*leaves, own_valid, EPS)
        loss = (out * share(slopes, rank)).sum()
        return out, mean, whole_variance, n, *torch.autograd.grad(loss, leaves)

    leaves = tuple(leaf.clone().requires_grad_() for leaf in (x, weight, bias))
    expected = masked_batch_norm(*leaves, valid)
    loss = (expected * slopes).sum()
    grad_x, grad_weight, grad_bias = torch.autograd.grad(loss, leaves)

    first, second = on_both(shared)
    for rank, (out, mean, whole_variance, n, own_grad, _, _) in enumerate((first, second)):
        torch.testing.assert_close(out, share(expected, rank))
        torch.testing.assert_close(own_grad, share(grad_x, rank))
        assert n == valid.sum()
        torch.testing.assert_close(mean, (x * valid).sum(dim=(0, 2)) / n)
        squares = ((x - mean[:, None]) * valid).square().sum(dim=(0, 2))
        torch.testing.assert_close(whole_variance, squares / n)
    # gradients of parameters are summed over the processes elsewhere
    torch.testing.assert_close(first[5] + second[5], grad_weight)
    torch.testing.assert_close(first[6] + second[6], grad_bias)


def test_the_reference_is_torchs_batch_norm() -> None:
    x = noise(8, 4, 9)
    weight = noise(4, seed=1)
    bias = noise(4, seed=2)
    expected = F.batch_norm(x, None, None, weight, bias, training=True, eps=EPS)
    actual = masked_batch_norm(x, weight, bias, torch.ones(8, 1, 9).double())
    torch.testing.assert_close(actual, expected)


def test_half_precision_is_normalised_in_the_precision_of_the_weights(on_both: Callable) -> None:
    x = noise(8, 4, 9)
    weight = torch.ones(4)
    bias = torch.zeros(4)

    def normalise(dtype: torch.dtype) -> Callable[[int], Tensor]:
        return lambda rank: batch_norm(share(x, rank).to(dtype), weight, bias, None, EPS)[0]

    exact = on_both(normalise(torch.float32))
    rounded = on_both(normalise(torch.bfloat16))
    for one, other in zip(exact, rounded, strict=True):
        assert other.dtype == torch.bfloat16
        torch.testing.assert_close(other.float(), one, rtol=0.02, atol=0.02)
