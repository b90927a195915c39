"""Tenants over several processes; a process that dies takes one tenant with it, not the run."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from training.borrowing.members import Member
from training.borrowing.run import Job, Outcome, failed, train_one

DIED = "the process that fitted it died (out of memory?)"

Fit = Callable[[Member], Outcome]


def train_all(members: Sequence[Member], job: Job, work: Path, processes: int) -> Iterator[Outcome]:
    """An outcome for each tenant, as they finish; with one process in this very one."""
    fit = partial(train_one, job=job, work=work)
    if processes < 2 or len(members) < 2:
        yield from map(fit, members)
    else:
        yield from shared_out(members, fit, processes)


def shared_out(members: Sequence[Member], fit: Fit, processes: int) -> Iterator[Outcome]:
    """An outcome for each tenant. No more are given out than are worked on, so that a death has few suspects.

    When a process dies, those that were worked on are fitted again, each in a process of its own.
    """
    left = list(members)
    while left:
        working: dict[Future[Outcome], Member] = {}
        with executor(processes) as pool:
            try:
                while left or working:
                    while left and len(working) < processes:
                        working[pool.submit(fit, left[0])] = left[0]
                        left.pop(0)
                    done, _ = wait(working, return_when=FIRST_COMPLETED)
                    for each in done:
                        found = each.result()
                        del working[each]
                        yield found
            except BrokenProcessPool:
                yield from (each.result() for each in working if finished(each))
                suspects = [member for each, member in working.items() if not finished(each)]
                yield from (alone(member, fit) for member in suspects)


def finished(future: Future[Outcome]) -> bool:
    """Whether there is a result."""
    return future.done() and future.exception() is None


def alone(member: Member, fit: Fit) -> Outcome:
    """One tenant in a process of its own."""
    with executor(1) as pool:
        try:
            return pool.submit(fit, member).result()
        except BrokenProcessPool:
            return failed(member.tenant, DIED)


def executor(processes: int) -> ProcessPoolExecutor:
    """Fresh processes: LightGBM's and numba's threads do not survive a fork."""
    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
