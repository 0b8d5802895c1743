"""The caller's torch settings, which must not reach what the package computes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from fei_sklearn._bridge.devices import one_thread_if_forked

#: Types of devices on which a caller may have turned autocast on.
AUTOCAST_TYPES = ("cpu", "cuda", "mps", "xpu")


class _DefaultDtype:
    """torch's default dtype, which all threads of the process share.

    The first block that is entered sets float32, the last one that is left restores the caller's.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.n_blocks = 0
        self.callers = torch.float32

    @contextmanager
    def float32(self) -> Iterator[None]:
        """Run a block under float32."""
        with self.lock:
            if self.n_blocks == 0:
                self.callers = torch.get_default_dtype()
                self._set(torch.float32)
            self.n_blocks += 1
        try:
            yield
        finally:
            with self.lock:
                self.n_blocks -= 1
                if self.n_blocks == 0:
                    self._set(self.callers)

    def _set(self, dtype: torch.dtype) -> None:
        if torch.get_default_dtype() != dtype:
            torch.set_default_dtype(dtype)


_default_dtype = _DefaultDtype()


@contextmanager
def own_torch_state() -> Iterator[None]:
    """Run a block, or a decorated function, under torch's settings at the start of a process.

    Within the block the default dtype is float32, the default device is the CPU, gradients are
    recorded, and neither inference mode nor autocast is on. A forked process computes on one
    thread. The caller's settings are restored.
    """
    with ExitStack() as settings:
        settings.enter_context(one_thread_if_forked())
        settings.enter_context(_default_dtype.float32())
        settings.enter_context(torch.inference_mode(False))
        settings.enter_context(torch.enable_grad())
        for kind in AUTOCAST_TYPES:
            if torch.is_autocast_enabled(kind):
                settings.enter_context(torch.autocast(kind, enabled=False))
        # a device context slows each call of torch down, so it is entered only where it is needed
        if torch.empty(0).device.type != "cpu":
            settings.enter_context(torch.device("cpu"))
        yield
