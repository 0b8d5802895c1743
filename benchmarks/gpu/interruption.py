"""A fit that is killed and resumes; ``python -m gpu.interruption DEVICE FOLDER OUT`` fits."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from fei_sklearn import FEIEmbedder
from fei_sklearn.training import checkpointing
from fei_sklearn.training.loop import Session
from gpu.panels import difference, sines
from gpu.setting import Setting

N_EPOCHS = 2
STEPS_PER_EPOCH = 40

#: Largest difference of weights in standard deviations: a device may sum in another order.
TOLERANCE = 0.05

#: Seconds to wait for the first state of a run.
PATIENCE = 60.0


def kill_and_resume(setting: Setting) -> str:
    """Return how the resumed run compares, or raise if it does not resume."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone = _finished_run(setting.device, folder / "alone")
        process = _start(setting.device, folder / "runs", folder / "killed.npz")
        _kill_after_first_state(process, folder / "runs")
        resumed = _finished_run(setting.device, folder / "runs")
    n_all = int(alone["n_steps"])
    n_after = int(resumed["n_steps"])
    apart = difference(resumed["weights"], alone["weights"])
    text = (
        f"A run of {n_all} steps was killed (SIGKILL). The next fit took its last {n_after} steps. "
        f"Weights differ from an uninterrupted run by {apart:.1e} standard deviations."
    )
    if not 0 < n_after < n_all:
        raise RuntimeError(f"The run did not resume. {text}")
    if apart > TOLERANCE:
        raise ArithmeticError(f"{text} At most {TOLERANCE} was expected.")
    return text


def fit(device: str, folder: str, out: str) -> None:
    """Fit with a state after each step, and write the weights and the number of steps."""
    checkpointing.EVERY_SECONDS = 0.0
    checkpointing.LARGEST_SHARE = 1e9
    n_steps = 0
    train_step = Session.train_step

    def counted(session, batch, epoch):
        nonlocal n_steps
        n_steps += 1
        return train_step(session, batch, epoch)

    Session.train_step = counted
    X, _ = sines(64)
    embedder = FEIEmbedder(
        32,
        max_epochs=N_EPOCHS,
        min_epoch_steps=STEPS_PER_EPOCH,
        batch_size=16,
        n_iter_no_change=None,
        precision="32-true",
        pooling="mean",
        device=device,
        random_state=0,
        checkpoint_dir=folder,
    )
    embedder.fit(X)
    weights = [array.ravel() for _, array in sorted(embedder.weights_.items())]
    np.savez(out, weights=np.concatenate(weights), n_steps=n_steps)


def _start(device: str, folder: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "gpu.interruption", device, str(folder), str(out)]
    return subprocess.Popen(command)


def _finished_run(device: str, folder: Path) -> dict[str, np.ndarray]:
    """Return what a fit writes at its end."""
    out = folder.with_suffix(".npz")
    process = _start(device, folder, out)
    if process.wait() != 0:
        raise RuntimeError(f"A fit ended with status {process.returncode}.")
    with np.load(out) as arrays:
        return dict(arrays)


def _kill_after_first_state(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Kill a fit as soon as it has written a state."""
    ends = time.monotonic() + PATIENCE
    while not any(folder.rglob(checkpointing.STATE)):
        if process.poll() is not None or time.monotonic() > ends:
            process.kill()
            raise RuntimeError("The fit ended, or wrote no state, before it could be killed.")
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    fit(*sys.argv[1:])
