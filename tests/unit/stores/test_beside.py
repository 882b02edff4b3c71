"""Work beside: in order, not too much of it at once, and what goes wrong is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from upkeep.stores.beside import InOrder, mapped


def test_in_order() -> None:
    done: list[int] = []
    with InOrder(most=2) as beside:
        for number in range(50):
            beside.do(done.append, number)
        beside.finish()
    assert done == list(range(50))


def fail() -> None:
    raise ValueError("no")


def go_on(times: int, *, finish: bool) -> None:
    with InOrder(most=2) as beside:
        for _ in range(times):
            beside.do(fail)
        if finish:
            beside.finish()


@pytest.mark.parametrize(("times", "finish"), [(5, False), (1, True)])
def test_what_fails_is_raised(times: int, *, finish: bool) -> None:
    with pytest.raises(ValueError, match="no"):
        go_on(times, finish=finish)


def test_leaving_early_waits_for_what_has_begun() -> None:
    begun, go, done = threading.Event(), threading.Event(), []

    def slow() -> None:
        begun.set()
        go.wait(10)
        done.append(1)

    def leave() -> None:
        with InOrder(most=8) as beside:
            beside.do(slow)
            beside.do(slow)
            begun.wait(10)
            go.set()
            raise KeyError

    with pytest.raises(KeyError):
        leave()
    assert len(done) in {1, 2}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("beside")]


def test_mapped() -> None:
    taken: list[int] = []

    def things() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    found = mapped(lambda n: n * n, things(), threads=2, most=4)
    assert next(found) == 0
    assert len(taken) == 4
    assert list(found) == [n * n for n in range(1, 100)]
    with pytest.raises(ZeroDivisionError):
        list(mapped(lambda n: 1 // n, [1, 0, 1], threads=2, most=2))
