"""AdamW: torch's own steps, without an import of torch's compiler."""

from __future__ import annotations

import pytest
import torch
from fake_device import FakeAccelerator
from torch import nn

from fei_sklearn.training.adamw import AdamW


def module_and_groups():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(2, 2))
    # the last layer gets no gradient
    groups = [
        {"params": [module[0].weight, module[1].weight, module[2].weight]},
        {"params": [module[0].bias, module[1].bias], "weight_decay": 0.0},
    ]
    return module, groups


def take_steps(module, optimizer, rates):
    for number, rate in enumerate(rates):
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        x = torch.linspace(-1, 1 + number, 15).reshape(5, 3)
        module[1](module[0](x)).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("fused", [True, False])
def test_steps_have_the_bits_of_torch(fused):
    module, groups = module_and_groups()
    other, other_groups = module_and_groups()
    own = AdamW(groups, learning_rate=0.1, fused=fused)
    torchs = torch.optim.AdamW(other_groups, lr=0.1, fused=fused)
    for model, optimizer in ((module, own), (other, torchs)):
        take_steps(model, optimizer, [0.1, 0.05, 0.2])
    for name, value in module.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    own_state = own.state_dict()["state"]
    torchs_state = torchs.state_dict()["state"]
    assert own_state.keys() == torchs_state.keys()
    for number, moments in own_state.items():
        for name, value in moments.items():
            assert torch.equal(value, torchs_state[number][name])
            assert value.dtype == torchs_state[number][name].dtype


@pytest.mark.parametrize("kind", ["own", "torch"])
def test_a_state_goes_on_in_either_optimiser(kind):
    module, groups = module_and_groups()
    optimizer = AdamW(groups, learning_rate=0.1, fused=True)
    take_steps(module, optimizer, [0.1, 0.05])
    state = {"state": {n: dict(m) for n, m in optimizer.state_dict()["state"].items()}}
    copied, copied_groups = module_and_groups()
    copied.load_state_dict(module.state_dict())
    if kind == "own":
        resumed = AdamW(copied_groups, learning_rate=0.1, fused=True)
    else:
        resumed = torch.optim.AdamW(copied_groups, fused=True)
    resumed.load_state_dict(
        resumed.state_dict()
        | {"state": {n: {k: v.clone() for k, v in m.items()} for n, m in state["state"].items()}}
    )
    take_steps(module, optimizer, [0.2])
    take_steps(copied, resumed, [0.2])
    for name, value in module.state_dict().items():
        assert torch.equal(value, copied.state_dict()[name]), name


def test_gradients_are_removed():
    module, groups = module_and_groups()
    optimizer = AdamW(groups, learning_rate=0.1, fused=True)
    module[0].weight.grad = torch.ones(4, 3)
    optimizer.zero_grad()
    assert module[0].weight.grad is None


def test_an_accelerator_moves_all_parameters_together():
    module = nn.Sequential(*(nn.Linear(3, 3) for _ in range(20))).to("meta")
    optimizer = AdamW([{"params": list(module.parameters())}], learning_rate=0.1, fused=False)
    module(torch.empty(5, 3, device="meta")).sum().backward()
    with FakeAccelerator(torch.device("meta")):
        optimizer.step()  # makes the moments
    with FakeAccelerator(torch.device("meta")) as accelerator:
        optimizer.step()
    # one operator per parameter adds to the steps, which are on the host; the rest are for all
    assert accelerator.n_calls < 3 * 40
