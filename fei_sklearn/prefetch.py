"""Read the next item while the last one is worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

_END: Any = object()


def read_ahead(items: Iterable[T], depth: int = 1) -> Generator[T, None, None]:
    """The same items in the same order, drawn by a thread of their own.

    What it costs to draw an item, as to read a batch from disk, goes on while the caller works on
    the one before. Whatever `items` raises is raised here, in its turn. The thread ends with the
    items, or when the generator is closed.

    Parameters
    ----------
    items : iterable
        Drawn from by the thread alone, one at a time.
    depth : int, default=1
        Items that are drawn before they are asked for, at most; so many are in memory beside the
        one that is worked on.

    Yields
    ------
    object
        The items.
    """
    iterator: Iterator[T] = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="fei_sklearn-read-ahead") as thread:
        drawn: deque[Future[T]] = deque()
        try:
            for _ in range(depth):
                drawn.append(thread.submit(next, iterator, _END))
            while (item := drawn.popleft().result()) is not _END:
                drawn.append(thread.submit(next, iterator, _END))
                yield item
        finally:
            for future in drawn:
                future.cancel()
