"""Pretraining, embeddings and fine-tuning on the device, and the saved models on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.frozen import FrozenEstimator

from fei_sklearn import FEIClassifier, FEIEmbedder
from gpu.panels import difference, sines
from gpu.setting import Setting

#: Largest difference of embeddings in standard deviations: convolutions in TF32 have three digits.
TOLERANCE = 0.05

#: Process without a CUDA device that loads both models and transforms.
ON_CPU = """
import sys
import numpy as np
import torch
from fei_sklearn import FEIClassifier, FEIEmbedder

assert not torch.cuda.is_available()
folder = sys.argv[1]
X = np.load(folder + "/X.npy")
embeddings = FEIEmbedder.load(folder + "/embedder", device="cpu").transform(X)
probabilities = FEIClassifier.load(folder + "/classifier", device="cpu").predict_proba(X)
np.savez(folder + "/out.npz", embeddings=embeddings, probabilities=probabilities)
"""


def fit_and_save(setting: Setting) -> str:
    """Return what was compared, or raise if the CPU has other embeddings."""
    X, y = sines(160)
    training = slice(0, 96)
    held_out = slice(96, None)
    embedder = FEIEmbedder(64, max_epochs=3, random_state=0, device=setting.device)
    embedder.fit(X[training])
    classifier = FEIClassifier(
        FrozenEstimator(embedder), max_epochs=3, random_state=0, device=setting.device
    )
    classifier.fit(X[training], y[training])
    accuracy = classifier.score(X[held_out], y[held_out])
    embeddings = embedder.transform(X[held_out])
    probabilities = classifier.predict_proba(X[held_out])
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "X.npy", X[held_out])
        embedder.save(Path(folder) / "embedder")
        classifier.save(Path(folder) / "classifier")
        loaded = _loaded_on_cpu(folder)
    apart = difference(embeddings, loaded["embeddings"])
    apart_in_probability = float(np.abs(probabilities - loaded["probabilities"]).max())
    text = (
        f"Fine-tuned accuracy on held-out synthetic series: {accuracy:.2f}. Loaded in a process "
        f"without CUDA, embeddings differ by {apart:.1e} standard deviations, and "
        f"probabilities by at most {apart_in_probability:.1e}."
    )
    if apart > TOLERANCE or apart_in_probability > TOLERANCE:
        raise ArithmeticError(f"{text} At most {TOLERANCE} was expected.")
    return text


def _loaded_on_cpu(folder: str) -> dict[str, np.ndarray]:
    """Return what both models give in a process that sees no CUDA device."""
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", ON_CPU, folder], env=environment, check=True)
    with np.load(Path(folder) / "out.npz") as arrays:
        return dict(arrays)
