"""Work that follows an answer: in order, gathered, bounded, and finished at the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from serving.behind import Behind


class Held:
    """Work that notes what it was given, and waits at the first of it until it may go on."""

    def __init__(self) -> None:
        self.given: list[list[int]] = []
        self.begun, self.may_go_on = Event(), Event()

    def __call__(self, found: list[int]) -> None:
        self.given.append(found)
        self.begun.set()
        assert self.may_go_on.wait(30)


@contextmanager
def busy(waiting: int, together: int) -> Iterator[tuple[Behind[int], Held]]:
    """One whose thread has the first thing, 0, in its hands."""
    held = Held()
    behind = Behind("test", waiting, held, together)
    assert behind.offer(0)
    assert held.begun.wait(30)
    try:
        yield behind, held
    finally:
        held.may_go_on.set()
        behind.close()


def test_things_are_worked_off_in_order_and_together() -> None:
    """What has come meanwhile is handed over at once, up to the limit, and all of it before the end."""
    with busy(waiting=10, together=3) as (behind, held):
        assert all(behind.offer(each) for each in range(1, 8))
    assert held.given == [[0], [1, 2, 3], [4, 5, 6], [7]]


def test_one_more_than_may_wait_is_refused() -> None:
    """And whoever offers it goes on at once."""
    with busy(waiting=2, together=1) as (behind, held):
        assert [behind.offer(each) for each in (1, 2, 3)] == [True, True, False]
    assert held.given == [[0], [1], [2]]


def test_the_end_is_seen_among_what_waits() -> None:
    """Also where it is gathered together with the last things, or where nothing was ever offered."""
    with busy(waiting=10, together=10) as (behind, held):
        assert behind.offer(1)
    assert held.given == [[0], [1]]
    Behind("idle", 1, held).close()


def test_it_begins_anew_after_an_end() -> None:
    """What is offered afterwards is worked off as well."""
    found: list[list[int]] = []
    behind = Behind("test", 4, found.append)
    for each in (1, 2):
        assert behind.offer(each)
        behind.close()
    assert found == [[1], [2]]
