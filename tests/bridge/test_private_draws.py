"""Modules that are built without a look at torch's global random state, or a wait for it."""

from __future__ import annotations

import threading

import pytest
import torch
from quick import dilated, quick, walks
from torch import nn

from fei_sklearn._bridge.devices import private_random_state
from fei_sklearn._bridge.private_draws import PrivateDraws

DRAWS = {
    "linear": lambda: nn.Linear(3, 4).weight,
    "normal": lambda: nn.init.normal_(torch.empty(5)),
    "truncated": lambda: nn.init.trunc_normal_(torch.empty(5)),
    "orthogonal": lambda: nn.init.orthogonal_(torch.empty(3, 3)),
    "rand": lambda: torch.rand(5),
    "randn": lambda: torch.randn(5),
    "randint": lambda: torch.randint(9, (5,)),
    "randperm": lambda: torch.randperm(9),
    "bernoulli": lambda: torch.bernoulli(torch.full((9,), 0.5)),
    "like": lambda: torch.rand_like(torch.empty(5)),
    "attention": lambda: nn.MultiheadAttention(4, 2).in_proj_weight,
    "recurrent": lambda: nn.GRU(3, 4).weight_ih_l0,
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_draws_leave_the_global_state_alone_and_are_repeatable(draw):
    before = torch.get_rng_state()
    with PrivateDraws(3):
        first = draw().detach()
    with PrivateDraws(3):
        again = draw().detach()
    with PrivateDraws(4):
        other = draw().detach()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", ["linear", "randn", "randperm", "recurrent"])
def test_draws_are_those_of_a_seeded_global_generator(name):
    with private_random_state(3, torch.device("cpu")):
        expected = DRAWS[name]().detach()
    with PrivateDraws(3):
        assert torch.equal(DRAWS[name]().detach(), expected)


def test_the_first_transform_does_not_wait_for_another_threads_fit(tmp_path):
    panel = walks()
    quick(encoder=dilated).fit(panel).save(tmp_path)
    training = threading.Event()
    transformed = threading.Event()
    in_time = []

    class Waiting(nn.Conv1d):
        """An encoder whose training does not go on until another thread has embedded."""

        def forward(self, x):
            training.set()
            in_time.append(transformed.wait(20))
            return super().forward(x)

    fit = threading.Thread(target=quick(encoder=lambda n: Waiting(n, 8, 3)).fit, args=(panel,))
    fit.start()
    assert training.wait(20)
    loaded = type(quick()).load(tmp_path, encoder=dilated)
    assert loaded.transform(panel).shape == (20, 24)
    transformed.set()
    fit.join()
    assert all(in_time)
