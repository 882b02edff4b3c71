"""Work that another thread does meanwhile, in order: what Arrow, zstd and hashes do leaves the interpreter free."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


class InOrder:
    """A thread that does one thing after the other; a context manager that ends it.

    Parameters
    ----------
    most
        So many things may wait; then `do` waits too, so that memory stays flat.
    """

    def __init__(self, *, most: int) -> None:
        self._pool = ThreadPoolExecutor(1, "beside")
        self._waiting: deque[Future[Any]] = deque()
        self._most = most

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Drop what has not begun, and wait for what has."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def do(self, work: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Have something done next; raises what something earlier raised."""
        while self._waiting and (self._waiting[0].done() or len(self._waiting) >= self._most):
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(work, *args, **kwargs))

    def finish(self) -> None:
        """Wait until all is done; raises what it raised."""
        while self._waiting:
            self._waiting.popleft().result()


def mapped(work: Callable[[T], R], things: Iterable[T], *, threads: int, most: int) -> Iterator[R]:
    """Yield what ``work`` returns for each thing, in order; ``most`` of them are begun ahead."""
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads, "beside") as pool:
        try:
            for thing in things:
                waiting.append(pool.submit(work, thing))
                if len(waiting) >= most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
