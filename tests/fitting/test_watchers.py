"""Several watchers as one: each is called, and each may stop the run."""

from __future__ import annotations

import pytest

from fei_sklearn._fitting.watchers import Watchers


class Noting:
    """Watcher that notes its calls, and may ask to stop."""

    def __init__(self, stops):
        self.stops = stops
        self.calls = []

    def begin(self, best):
        self.calls.append(("begin", best))

    def begin_epoch(self):
        self.calls.append("begin_epoch")

    def end_epoch(self, record):
        self.calls.append(("end_epoch", record))
        return self.stops


def test_each_watcher_gets_each_call():
    watchers = [Noting(True), Noting(False)]
    together = Watchers(watchers)
    together.begin("best")
    together.begin_epoch()
    together.end_epoch({"epoch": 1})
    for watcher in watchers:
        assert watcher.calls == [("begin", "best"), "begin_epoch", ("end_epoch", {"epoch": 1})]


@pytest.mark.parametrize("stops", [(), (False, False), (True, False), (False, True)], ids=str)
def test_one_watcher_is_enough_to_stop(stops):
    together = Watchers([Noting(stop) for stop in stops])
    assert together.end_epoch({}) == any(stops)
