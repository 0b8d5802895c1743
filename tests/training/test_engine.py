"""The engine of a run, and the contexts around training."""

from __future__ import annotations

import logging
import warnings

import pytest
import torch
from quick import run_python
from torch import nn
from training_runs import ScriptedObjective, fei_objective, noise_panel, options

from fei_sklearn.objectives.fei import FEIObjective
from fei_sklearn.training import engine as engine_module
from fei_sklearn.training import loop, train
from fei_sklearn.training.engine import (
    Engine,
    FabricEngine,
    announcements_ignored,
    engine_for,
    memory_explained,
    parameter_groups,
    stride_warnings_ignored,
)

# The engine


@pytest.fixture(scope="module", params=[Engine, FabricEngine])
def engine(request):
    if request.param is Engine:
        return Engine()
    return FabricEngine(options())


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, Engine),
        ({"precision": "64-true"}, FabricEngine),
        ({"precision": "bf16-mixed"}, FabricEngine),
    ],
)
def test_fabric_is_for_other_precisions(changes, kind):
    assert type(engine_for(options(**changes))) is kind


@pytest.mark.parametrize("max_norm", [None, 0.1])
def test_both_engines_train_the_same_bits(max_norm, monkeypatch):
    monkeypatch.setattr(FEIObjective, "max_gradient_norm", max_norm)
    states = []
    for make in (Engine, lambda: FabricEngine(options())):
        monkeypatch.setattr(loop, "engine_for", lambda _, make=make: make())
        objective = fei_objective()
        result = train(objective, noise_panel(), options(batch_size=8))
        states.append(objective.state_dict() | result.moments)
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


WITHOUT_TEMPORARY_FOLDER = """
import os, sys, tempfile
from quick import oscillations, quick
from fei_sklearn import FEIClassifier

def refuse(*arguments, **named):
    raise OSError(30, "Read-only file system")

tempfile.gettempdir = os.mkdir = refuse
X, frequency = oscillations()
embedder = quick().fit(X)
embedder.transform(X)
embedder.partial_fit(X)
FEIClassifier(quick(), max_epochs=1).fit(X, frequency).predict(X)
print({"torch._dynamo", "torch._inductor", "lightning_fabric"} & set(sys.modules))
"""


def test_training_writes_nothing_and_imports_neither_compiler_nor_fabric():
    assert run_python(WITHOUT_TEMPORARY_FOLDER).strip() == "set()"


def test_one_process_has_no_group(engine):
    assert engine.group is None
    assert engine.is_first
    record = {"epoch": 1}
    assert engine.from_first(record) is record


def test_one_process_keeps_its_weights(engine):
    module = nn.Linear(2, 3)
    before = module.weight.clone()
    engine.copy_weights_from_first(module)
    assert torch.equal(module.weight, before)


def test_gradients_are_clipped_together(engine):
    objective = ScriptedObjective()
    module, optimizer = engine.setup(objective, options())
    engine.backward(30.0 * objective.weight)
    engine.clip_gradients(module, optimizer, max_norm=1.5)
    assert objective.weight.grad.item() == pytest.approx(1.5, rel=1e-5)


def test_adamw_is_fused_on_the_cpu(engine):
    _, optimizer = engine.setup(ScriptedObjective(), options(learning_rate=0.03))
    (group,) = optimizer.param_groups
    assert group["fused"]
    assert group["lr"] == 0.03


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("32-true", torch.float32), ("64-true", torch.float64)],
)
def test_tensors_are_made_in_the_dtype_of_the_precision(precision, dtype):
    engine = FabricEngine(options(precision=precision))
    with engine.autocast():
        assert torch.zeros(1).dtype == dtype
    assert torch.zeros(1).dtype == torch.float32


def test_the_state_of_the_precision_is_restored(engine):
    state = engine.precision_state()
    engine.load_precision_state(state)
    assert engine.precision_state() == state


# Parameter groups


def test_all_parameters_decay_by_default():
    objective = fei_objective()
    (group,) = parameter_groups(objective)
    trained = [p for p in objective.parameters() if p.requires_grad]
    assert len(trained) < len(list(objective.parameters()))
    assert ids(group["params"]) == ids(trained)
    assert "weight_decay" not in group


def test_an_objective_may_spare_parameters_from_decay():
    class SparingObjective(ScriptedObjective):
        def __init__(self):
            super().__init__()
            self.spared = nn.Parameter(torch.ones(3))

        def undecayed(self):
            return [self.spared]

    objective = SparingObjective()
    decayed, spared = parameter_groups(objective)
    assert ids(decayed["params"]) == [id(objective.weight)]
    assert ids(spared["params"]) == [id(objective.spared)]
    assert spared["weight_decay"] == 0.0


def ids(parameters):
    return [id(parameter) for parameter in parameters]


# Several processes


@pytest.mark.parametrize(
    ("name", "present"),
    [("forward_sync_buffers", True), ("broadcast_buffers", False)],
)
def test_buffers_stay_with_their_process_under_either_name(name, present, monkeypatch):
    class Parallel:
        def __init__(self, module, broadcast_buffers=True):
            pass

    class RecentParallel(Parallel):
        def __init__(self, module, forward_sync_buffers=True):
            pass

    kind = RecentParallel if present else Parallel
    monkeypatch.setattr(nn.parallel, "DistributedDataParallel", kind)
    assert engine_module._own_buffers() == {name: False}


# Contexts


@pytest.mark.parametrize(
    ("batch_size", "n_samples", "size", "smaller"),
    [(16, 100, 16, 8), (512, 18, 18, 9), (1, 5, 1, 1)],
)
def test_a_lack_of_memory_names_the_batch_size(batch_size, n_samples, size, smaller):
    message = f"on batches of {size} series: try batch_size={smaller},"
    with (
        pytest.raises(ValueError, match=message) as raised,
        memory_explained(batch_size, n_samples),
    ):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
    assert isinstance(raised.value.__cause__, torch.cuda.OutOfMemoryError)


def test_other_errors_stay_as_they_are():
    with pytest.raises(RuntimeError, match=r"^other$"), memory_explained(8, 8):
        raise RuntimeError("other")


def test_only_the_warning_about_strides_is_ignored():
    with stride_warnings_ignored(n_devices=2):
        warnings.warn("Grad strides do not match bucket view strides.", stacklevel=1)
        with pytest.warns(UserWarning, match="other"):
            warnings.warn("other", stacklevel=1)
    with pytest.warns(UserWarning, match="Grad strides"):
        warnings.warn("Grad strides do not match bucket view strides.", stacklevel=1)


def test_announcements_are_ignored_and_warnings_are_not(caplog):
    logger = logging.getLogger("fei_sklearn_test.child")
    parent = logging.getLogger("fei_sklearn_test")
    parent.setLevel(logging.INFO)
    with announcements_ignored("fei_sklearn_test"):
        logger.info("announcement")
        logger.warning("warning")
    logger.info("afterwards")
    assert [record.message for record in caplog.records] == ["warning", "afterwards"]
    assert parent.level == logging.INFO
