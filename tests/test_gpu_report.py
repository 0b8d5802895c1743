"""The report of `make gpu`: parts that fail, hang or crash, and the document they leave."""

from __future__ import annotations

import importlib
import os
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: Parts that end in all ways.
WORK = """
import os, signal, subprocess, sys, time
from pathlib import Path
from gpu.setting import NotOnThisDeviceError

def passes(setting):
    print("not part of the report")
    return f"on {setting.device}"

def fails(setting):
    print("printed before it failed")
    raise ValueError("a wrong value")

def cannot_run(setting):
    raise NotOnThisDeviceError("Not on this device: it has no wheels.")

def crashes(setting):
    print("before the crash", flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)

def hangs(setting):
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(setting.authors, "sleeper").write_text(str(sleeper.pid))
    print("waiting", flush=True)
    time.sleep(600)
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="ends sessions of processes")


@pytest.fixture
def gpu(monkeypatch, tmp_path):
    """Function from the name of a module of the runner to the module."""
    (tmp_path / "work.py").write_text(WORK, encoding="utf-8")
    folders = [str(tmp_path), str(ROOT / "benchmarks"), str(ROOT)]
    for folder in reversed(folders):
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))
    return lambda name: importlib.import_module(f"gpu.{name}")


@pytest.fixture
def outcomes_of(gpu, tmp_path):
    """Function from the names of parts to their outcomes."""

    def run(*names, seconds=60.0, part_seconds=60.0, needed=""):
        part = gpu("parts").Part
        parts = [
            part(name, name, f"work:{name}", part_seconds, is_needed=name == needed)
            for name in names
        ]
        return list(gpu("runner").run_parts(parts, ["cpu", str(tmp_path)], seconds))

    return run


def is_running(pid):
    """Return whether a process runs; one that has ended may wait for its parent to notice."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_a_part_that_fails_does_not_stop_the_rest(outcomes_of, gpu):
    outcomes = outcomes_of("fails", "crashes", "cannot_run", "passes")
    verdicts = [outcome.verdict for outcome in outcomes]
    assert verdicts == ["failed", "failed", "not on this device", "passed"]
    report = gpu("report").markdown(outcomes, "cuda")
    assert "1 of 4 parts passed. Failed: fails, crashes. Not on this device: cannot_run." in report
    assert "## fails\n\n**Failed.**\n\nValueError: a wrong value\n" in report
    assert 'raise ValueError("a wrong value")' in report
    assert report.count("ValueError: a wrong value") == 1
    assert "printed before it failed" in report
    assert "before the crash" in report
    assert "without a result" in report
    assert "it has no wheels" in report
    assert "on cpu" in report
    assert "not part of the report" not in report
    assert "rehearsal" not in report
    assert "A rehearsal on the CPU" in gpu("report").markdown(outcomes, "cpu")


def test_a_part_that_hangs_is_stopped_with_its_processes(outcomes_of, tmp_path):
    hanging, passing = outcomes_of("hangs", "passes", part_seconds=3.0)
    assert hanging.verdict == "failed"
    assert "stopped after 3 s" in hanging.text
    assert "waiting" in hanging.text
    assert passing.verdict == "passed"
    if Path("/proc").is_dir():
        assert not is_running((tmp_path / "sleeper").read_text())


def test_parts_after_the_time_is_up_are_left_out(outcomes_of):
    hanging, left_out = outcomes_of("hangs", "passes", seconds=2.0)
    assert "stopped after 2 s" in hanging.text
    assert left_out.verdict == "failed"
    assert "Left out" in left_out.text


def test_nothing_follows_a_part_that_is_needed_and_fails(outcomes_of):
    assert [o.verdict for o in outcomes_of("fails", "passes", needed="fails")] == ["failed"]
    passed = outcomes_of("passes", "cannot_run", needed="passes")
    assert [o.verdict for o in passed] == ["passed", "not on this device"]


def test_a_machine_without_cuda_is_told_of_the_rehearsal(gpu, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(RuntimeError, match=r"no CUDA device: use make gpu DEVICE=cpu"):
        gpu("machine").describe(gpu("setting").setting_for("cuda", ""))


def test_each_part_names_a_function(gpu):
    parts = gpu("parts").PARTS
    names = [part.name for part in parts]
    assert len(set(names)) == len(names)
    for part in parts:
        module, function = part.work.split(":")
        assert callable(getattr(importlib.import_module(module), function)), part.name


def test_the_report_has_no_paths_of_the_machine(gpu):
    report = gpu("report")
    text = f'File "{ROOT}/fei_sklearn/data.py" and {Path.home()}/.cache'
    outcome = report.Outcome("a", "passed", text, 1.0)
    shown = report.markdown([outcome], "cuda")
    assert 'File "fei_sklearn/data.py" and ' in shown
    assert str(ROOT) not in shown
    assert f"{Path.home()}/" not in shown


def test_the_command_writes_a_report_and_returns_a_status(gpu, monkeypatch, tmp_path, capsys):
    main = gpu("__main__")
    part = gpu("parts").Part
    parts = [part(name, name, f"work:{name}") for name in ("passes", "fails")]
    monkeypatch.setattr(main, "PARTS", parts)
    report = tmp_path / "new" / "gpu.md"
    command = ["gpu", "--device", "cpu", "--report", str(report)]

    monkeypatch.setattr("sys.argv", command)
    assert main.main() == 1
    assert "1 of 2 parts passed. Failed: fails." in report.read_text(encoding="utf-8")
    assert "1 of 2 parts passed. Failed: fails." in capsys.readouterr().out

    monkeypatch.setattr("sys.argv", [*command, "--parts", "passes"])
    assert main.main() == 0
    assert "1 of 1 parts passed.\n" in report.read_text(encoding="utf-8")


def test_packages_that_are_missing_are_named(gpu, monkeypatch, tmp_path, capsys):
    main = gpu("__main__")
    runner = gpu("runner")
    assert runner.missing_packages() == []
    monkeypatch.setitem(runner.REQUIRED, "no_such_module", "no-such-package")
    monkeypatch.setattr("sys.argv", ["gpu", "--report", str(tmp_path / "gpu.md")])
    assert main.main() == 1
    assert "no-such-package must be installed" in capsys.readouterr().err
    assert not (tmp_path / "gpu.md").exists()


def test_waits_are_the_warnings_of_torch_about_an_operation(gpu, monkeypatch):
    waits = gpu("waits")
    modes = []

    def set_mode(mode):
        modes.append(mode)
        warnings.warn("does not yet detect all synchronizing operations", stacklevel=1)

    def work():
        warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        warnings.warn("of another kind", stacklevel=1)

    monkeypatch.setattr("torch.cuda.set_sync_debug_mode", set_mode)
    found = waits.waits_of(work, 3)
    assert len(found) == 3
    assert all(Path(__file__).name in place for place in found)
    assert modes == ["warn", "default"]


def test_a_rehearsal_runs_what_needs_no_cuda(gpu):
    setting = gpu("setting").setting_for("cpu", "")
    assert "discrete, unequal" in gpu("agreement").compare_steps(setting)
    with pytest.raises(gpu("setting").NotOnThisDeviceError, match="CUDA devices alone"):
        gpu("memory_limit").run_short(setting)


def test_a_step_that_differs_from_the_cpus_fails(gpu, monkeypatch):
    agreement = gpu("agreement")
    step = agreement._step
    losses = iter([1.0, 1.01] * 6)

    def shifted(*arguments):
        loss, gradient = step(*arguments)
        return loss * next(losses), gradient

    monkeypatch.setattr(agreement, "_step", shifted)
    with pytest.raises(ArithmeticError, match=r"difference of 1\.0e-02 is above"):
        agreement.compare_steps(gpu("setting").setting_for("cpu", ""))
