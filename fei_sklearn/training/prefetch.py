"""Reading ahead: a thread draws the next item while the caller works on the current one."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

#: Returned by `next` after the last item.
_END: Any = object()


def read_ahead(items: Iterable[T], depth: int = 1) -> Generator[T, None, None]:
    """Yield the same items in the same order, drawn by a separate thread.

    Drawing an item, such as reading a batch from disk, overlaps with the caller's work on the item
    before. An exception that `items` raises is raised here in its turn. The thread ends with the
    items, or when the generator is closed.

    Parameters
    ----------
    items : iterable
        Items to draw. Only the thread draws from it, one item at a time.
    depth : int, default=1
        Most items that are drawn before the caller requests them. They are in memory beside the
        item that the caller works on.

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
            while True:
                item = drawn.popleft().result()
                if item is _END:
                    return
                drawn.append(thread.submit(next, iterator, _END))
                yield item
        finally:
            for future in drawn:
                future.cancel()
