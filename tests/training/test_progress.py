"""Progress of a run: means of the losses, states, and AdamW's moments."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import distributed, nn
from training_runs import CPU, ScriptedLosses

from fei_sklearn.training.options import Seeds
from fei_sklearn.training.progress import (
    MeanLosses,
    Progress,
    copies,
    moments_of,
    set_moments,
)

SEEDS = Seeds(order=3, masks=4, validation_masks=5)


def losses_of(loss, watched):
    return ScriptedLosses(torch.tensor(loss), torch.tensor(watched))


# Means


def test_means_weigh_each_series_alike():
    mean = MeanLosses()
    mean.add(losses_of(1.0, 2.0), 3)
    mean.add(losses_of(5.0, 6.0), 1)
    assert mean.record("train") == {"train_loss": 2.0, "train_watched": 3.0}


def test_a_mean_of_nothing_is_an_error():
    with pytest.raises(RuntimeError, match="no batch has been added"):
        MeanLosses().record("train")


def test_losses_keep_no_graph():
    weight = torch.ones((), requires_grad=True)
    mean = MeanLosses()
    mean.add(ScriptedLosses(weight * 2, weight * 3), 2)
    assert not mean.sums.requires_grad


@pytest.mark.parametrize("is_empty", [False, True], ids=["some", "none"])
def test_means_of_all_processes_are_gathered(is_empty, monkeypatch):
    other = torch.tensor([8.0, 4.0, 4.0])  # sums over four series, and their number
    monkeypatch.setattr(distributed, "all_reduce", lambda sums: sums.add_(other))
    mean = MeanLosses(["loss", "watched"])
    if not is_empty:
        mean.add(losses_of(7.0, 1.0), 4)
    mean.gather(like=torch.zeros(2))
    expected = (2.0, 1.0) if is_empty else (4.5, 1.0)
    record = mean.record("valid")
    assert record == {"valid_loss": expected[0], "valid_watched": expected[1]}


# Progress


@pytest.mark.parametrize(
    ("n_epochs", "best_epoch", "patience", "is_stale"),
    [
        (5, 3, 2, True),
        (5, 3, 3, False),
        (5, 5, 1, False),
        (9, 1, None, False),
    ],
)
def test_a_run_is_stale_after_epochs_without_a_better_loss(
    n_epochs, best_epoch, patience, is_stale
):
    progress = Progress(SEEDS, CPU)
    progress.history = [{}] * n_epochs
    progress.best_epoch = best_epoch
    assert progress.is_stale(patience) is is_stale


def test_without_kept_weights_the_present_ones_are_the_best():
    progress = Progress(SEEDS, CPU)
    module = nn.Linear(1, 1)
    weights, epoch = progress.best(module)
    assert epoch == 0
    assert torch.equal(weights["weight"], module.weight)
    progress.history.append({"epoch": 1})
    progress.keep(0.5, module)
    kept = module.weight.clone()
    nn.init.constant_(module.weight, 9.0)
    weights, epoch = progress.best(module)
    assert epoch == 1
    assert progress.best_loss == 0.5
    assert torch.equal(weights["weight"], kept)


def test_generators_are_seeded_by_name():
    progress = Progress(SEEDS, CPU)
    assert progress.order.initial_seed() == 3
    assert progress.masks.initial_seed() == 4


def test_an_outcome_has_weights_and_history_alone():
    progress = Progress(SEEDS, CPU)
    progress.history.append({"epoch": 1})
    module = nn.Linear(1, 1)
    state = progress.outcome(module)
    assert state.plain == {"finished": True, "history": [{"epoch": 1}], "best_epoch": 0}
    assert state.tensors.keys() == {"weights.weight", "weights.bias"}


def trained_module(seed):
    torch.manual_seed(seed)
    module = nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(module.parameters())
    module(torch.ones(3, 2)).sum().backward()
    optimizer.step()
    return module, optimizer


@pytest.mark.parametrize("global_random_state", [False, True])
def test_a_state_restores_everything(global_random_state):
    module, optimizer = trained_module(seed=0)
    progress = Progress(SEEDS, CPU)
    progress.history = [{"epoch": 1, "train_loss": 2.0}]
    progress.keep(2.0, module)
    torch.rand(3, generator=progress.order)
    progress.begin_epoch()
    torch.rand(3, generator=progress.order)  # of the present epoch, drawn again
    torch.rand(3, generator=progress.masks)
    progress.step = 7
    progress.epoch_step = 2
    progress.seconds = 1.5
    progress.losses.add(losses_of(1.0, 2.0), 3)
    state = progress.state(
        module,
        optimizer,
        {"scale": 2.0},
        global_random_state=global_random_state,
    )
    drawn = torch.rand(2)

    _, other_optimizer = trained_module(seed=1)
    restored = Progress(Seeds(9, 9, 9), CPU)
    restored.restore(state, other_optimizer)
    assert state.plain["precision"] == {"scale": 2.0}
    assert json.loads(json.dumps(state.plain)) == state.plain
    assert restored.step == 7
    assert restored.epoch_step == 2
    assert restored.seconds == 1.5
    assert restored.history == progress.history
    assert restored.best_epoch == 1
    assert restored.best_loss == 2.0
    assert restored.losses.record("train") == progress.losses.record("train")
    assert torch.equal(restored.best_weights["weight"], module.weight)
    assert torch.equal(restored.order.get_state(), progress.order_at_begin)
    assert torch.equal(restored.masks.get_state(), progress.masks.get_state())
    assert_same_moments(other_optimizer, optimizer)
    assert torch.equal(torch.rand(2), drawn) is global_random_state


def test_the_best_loss_is_infinite_at_the_start():
    assert Progress(SEEDS, CPU).best_loss == math.inf


# Moments and copies


def assert_same_moments(optimizer, other):
    moments = moments_of(optimizer)
    expected = moments_of(other)
    assert moments.keys() == expected.keys()
    for name, value in moments.items():
        assert torch.equal(value, expected[name])


def test_moments_have_the_number_of_their_parameter():
    _, optimizer = trained_module(seed=0)
    names = {"step", "exp_avg", "exp_avg_sq"}
    expected = {f"{number}.{name}" for number in (0, 1) for name in names}
    assert moments_of(optimizer).keys() == expected


def test_set_moments_keep_the_options_of_the_optimiser():
    _, optimizer = trained_module(seed=0)
    other = torch.optim.AdamW(nn.Linear(2, 1).parameters(), lr=0.5)
    set_moments(other, moments_of(optimizer))
    assert_same_moments(other, optimizer)
    assert other.param_groups[0]["lr"] == 0.5


def test_copies_do_not_follow_the_module():
    module = nn.Linear(1, 1)
    nn.init.constant_(module.weight, 2.0)
    weights = copies(module)
    nn.init.constant_(module.weight, 3.0)
    assert weights["weight"].item() == 2.0


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("0.exp_avg", torch.zeros(1), r"parameter 0 .*\(1, 2\), torch\.float32"),
        ("1.step", torch.zeros(2), r"parameter 1 "),
        ("2.step", torch.zeros(()), r"name the parameters \['2'\]"),
        ("x", torch.zeros(()), r"name the parameters \['x'\]"),
    ],
)
def test_moments_of_other_parameters_are_refused(name, value, message):
    _, optimizer = trained_module(0)
    moments = moments_of(optimizer) | {name: value}
    with pytest.raises(ValueError, match=message):
        set_moments(optimizer, moments)
