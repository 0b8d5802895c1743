"""Setting of a run: the device, and sizes that fit into the time."""

from __future__ import annotations

from dataclasses import dataclass


class NotOnThisDeviceError(Exception):
    """Sentence that says why a part cannot run here."""


@dataclass(frozen=True)
class Setting:
    """Setting of all parts.

    Attributes
    ----------
    device : str
        "cuda", or "cpu" for a rehearsal.
    authors : str
        Checkout of the authors' repository; empty if there is none.
    encoders : tuple of str
        Encoders whose steps are timed.
    precisions : tuple of str
        Precisions whose steps are timed.
    batch_size, n_timepoints : int
        Shape of the batches that are timed.
    n_steps, n_rounds : int
        Steps that are timed together, and how often.
    """

    device: str
    authors: str
    encoders: tuple[str, ...]
    precisions: tuple[str, ...]
    batch_size: int
    n_timepoints: int
    n_steps: int
    n_rounds: int

    @property
    def is_rehearsal(self) -> bool:
        """Whether the CPU stands in for an accelerator."""
        return self.device == "cpu"

    def require_cuda(self, reason: str) -> None:
        """Raise NotOnThisDeviceError in a rehearsal."""
        if self.is_rehearsal:
            raise NotOnThisDeviceError(f"Not on this device: {reason}.")


def setting_for(device: str, authors: str) -> Setting:
    """Return the setting for a device."""
    if device == "cpu":
        return Setting(device, authors, ("dilated", "tiny"), ("32-true",), 32, 178, 1, 3)
    encoders = ("dilated", "tiny", "small", "norm", "big")
    precisions = ("32-true", "bf16-mixed", "16-mixed")
    return Setting(device, authors, encoders, precisions, 512, 178, 10, 5)
