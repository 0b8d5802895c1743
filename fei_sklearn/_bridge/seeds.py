"""Seeds of a pretraining's random streams, all derived from one integer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PretrainingSeeds:
    """Seeds of the independent random streams of a pretraining.

    Attributes
    ----------
    initial_weights : int
        Seed of the initial weights of encoder, heads and prompts.
    training : int
        Seed of the order of the series and of the masks.
    validation_split : int
        Seed of the draw of the series that validate.
    calibration : int
        Seed of the order of the series in the calibration of batch norm.
    """

    initial_weights: int
    training: int
    validation_split: int
    calibration: int

    @classmethod
    def from_seed(cls, seed: int) -> PretrainingSeeds:
        """Derive the seeds from a single one."""
        states = np.random.SeedSequence(seed).generate_state(4)
        initial_weights, training, validation_split, calibration = states.tolist()
        return cls(initial_weights, training, validation_split, calibration)


def chunk_seed(seed: int, n_earlier_epochs: int) -> int:
    """Return the seed of a chunk of a stream: equal chunks draw different orders and masks."""
    sequence = np.random.SeedSequence([seed, n_earlier_epochs])
    return int(sequence.generate_state(1)[0])
