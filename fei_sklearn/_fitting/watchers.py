"""Several watchers of a training run as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fei_sklearn.training.progress import Best, EpochRecord, Watcher


class Watchers:
    """Several watchers as one."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self.watchers = watchers

    def begin(self, best: Best) -> None:
        """Pass on to each watcher that the run begins."""
        for watcher in self.watchers:
            watcher.begin(best)

    def begin_epoch(self) -> None:
        """Pass on to each watcher that an epoch begins."""
        for watcher in self.watchers:
            watcher.begin_epoch()

    def end_epoch(self, record: EpochRecord) -> bool:
        """Pass the record on to each watcher, and return whether any of them stops the run."""
        answers = [watcher.end_epoch(record) for watcher in self.watchers]
        return any(answers)
