"""Answers in the order in which they are ready."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.gather import as_finished


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Two workers."""
    with ThreadPoolExecutor(2) as made:
        yield made


def test_first_done_first_answered(pool: ThreadPoolExecutor) -> None:
    """The second answer comes first when the first work waits for it."""
    done = threading.Event()

    def work(number: int) -> int:
        assert done.wait(30) if number == 0 else True
        return number

    answers = as_finished(iter([0, 1]), work, pool, window=2)
    assert next(answers) == 1
    done.set()
    assert list(answers) == [0]


def test_no_requests_no_answers(pool: ThreadPoolExecutor) -> None:
    """An empty stream ends at once."""
    assert list(as_finished(iter([]), str, pool, window=2)) == []


def test_reading_ahead_is_bounded(pool: ThreadPoolExecutor) -> None:
    """No more requests are read than the window has room for, however fast they come."""
    read, held, go = [], threading.Semaphore(0), threading.Event()

    def requests() -> Iterator[int]:
        for number in range(50):
            read.append(number)
            yield number

    def work(number: int) -> int:
        held.release()
        assert go.wait(30)
        return number

    answers = as_finished(requests(), work, pool, window=2)
    first = ThreadPoolExecutor(1).submit(next, answers)
    assert held.acquire(timeout=30)
    assert held.acquire(timeout=30)
    assert len(read) <= 3  # two at work, one read and waiting for room
    go.set()
    assert sorted([first.result(), *answers]) == list(range(50))


def test_a_broken_stream_of_requests(pool: ThreadPoolExecutor) -> None:
    """What was read before the stream broke is answered, then its error is raised."""

    def requests() -> Iterator[int]:
        yield 1
        raise ConnectionError

    answers = as_finished(requests(), str, pool, window=2)
    assert next(answers) == "1"
    with pytest.raises(ConnectionError):
        next(answers)


def test_a_caller_that_leaves(pool: ThreadPoolExecutor) -> None:
    """Once the caller has left, iteration ends at once, and what was not begun is not begun."""
    ends, begun, held, go = [], [], threading.Semaphore(0), threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        held.release()
        assert go.wait(30)
        return number

    answers = as_finished(iter(range(100)), work, pool, window=4, on_end=ends.append)
    with ThreadPoolExecutor(1) as other:
        ended = other.submit(list, answers)
        assert held.acquire(timeout=30)
        assert held.acquire(timeout=30)
        ends[0]()
        assert ended.result(30) == []
    go.set()
    pool.shutdown(wait=True)
    assert begun == [0, 1]
