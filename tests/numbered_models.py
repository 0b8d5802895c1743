"""Small models in folders, whose configuration and array show whether they belong together."""

from __future__ import annotations

import json

import numpy as np
from safetensors.numpy import save

from fei_sklearn._saving.folder import CONFIG, WEIGHTS, read_folder
from fei_sklearn._saving.model_file import digest


def numbered(number):
    """Return a small model: a configuration and an array that belong together."""
    return {"number": number}, {"weight": np.full(1000, number), "bias": np.zeros(())}


def assert_whole(folder):
    """Check that a folder holds one of the numbered models, and return its number."""
    config, weights = read_folder(folder)
    assert (weights["weight"] == config["number"]).all()
    return config["number"]


def write_older(folder, config, weights):
    """Write a model as older versions did, with its configuration in config.json alone."""
    folder.mkdir(exist_ok=True)
    content = save(weights)
    config = {"library": "fei_sklearn", "format": 1} | config
    config["sha256"] = digest(config, content)
    (folder / WEIGHTS).write_bytes(content)
    (folder / CONFIG).write_text(json.dumps(config, indent=1))
