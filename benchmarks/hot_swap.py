"""Promotions and rollbacks under load: failed requests, and answers that name a version that was not live.

A server of its own process, asked at a steady rate whether or not it keeps up, while another process promotes
and rolls back. A version is live from its promotion until the next one is first seen in an answer: a later
request that is answered by it again would be an error, as the swap is one assignment.

    python -m benchmarks hot_swap [--swaps 200] [--rate 200]
"""

import argparse
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc

from benchmarks.harness import Row
from benchmarks.rank import RANK, documents
from benchmarks.tenants import boosted, install, percentile
from cascade.store import DirectoryStore
from serving.testing import serving_process
from sluice.request import Request, to_message
from sluice.v1 import ranking_pb2 as pb

SHORT = False
TENANT, RANKER = "shop", "default"
VERSIONS, TREES, CANDIDATES, THREADS = 4, 50, 20, 8
SETTINGS = "poll_s = 0.1\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """A request's begin and end in seconds, and the version that answered."""

    begun: float
    ended: float
    version: str


@dataclass(frozen=True, slots=True)
class Life:
    """A version's promotion, and when an answer first named the next one."""

    version: str
    since: float
    until: float


@dataclass(slots=True)
class Traffic:
    """Requests at a steady rate. `ask` sends one and returns the version that answered."""

    ask: Callable[[], str]
    rate: float
    answers: list[Answer] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def one(self) -> None:
        """Send a request, and keep what came of it."""
        begun = time.perf_counter()
        try:
            version = self.ask()
        except grpc.RpcError as error:
            self.failures.append(str(error.code()))
        else:
            self.answers.append(Answer(begun, time.perf_counter(), version))

    def flow(self, pool: ThreadPoolExecutor) -> None:
        """Send on time until the end; what the threads cannot send waits for one of them."""
        start, sent = time.perf_counter(), 0
        while not self.ended.wait(max(0.0, start + sent / self.rate - time.perf_counter())):
            pool.submit(self.one)
            sent += 1


def run(options: Sequence[str] = ()) -> Iterator[Row]:
    """Swaps without load to warm up, then under load."""
    parser = argparse.ArgumentParser("python -m benchmarks hot_swap")
    parser.add_argument("--swaps", type=int, default=200)
    parser.add_argument("--rate", type=float, default=200.0)
    asked = parser.parse_args(options)
    with TemporaryDirectory() as folder, ExitStack() as stack:
        root = Path(folder)
        store, versions = prepared(root)
        (root / "settings.toml").write_text(SETTINGS)
        server = stack.enter_context(serving_process(store.root, "--settings", str(root / "settings.toml")))
        channel = stack.enter_context(grpc.insecure_channel(server.target))
        call: Any = channel.unary_unary(RANK, None, None)
        raw = request()
        traffic = Traffic(lambda: str(pb.RankResponse.FromString(call(raw, timeout=60)).version), asked.rate)
        lives, seconds = swapped(store, versions, traffic, asked.swaps)
    yield from rows(traffic, lives, seconds, asked)


def rows(traffic: Traffic, lives: Sequence[Life], seconds: float, asked: argparse.Namespace) -> Iterator[Row]:
    """What came of it."""
    case = f"{asked.swaps} promotions and rollbacks, {asked.rate:.0f} requests/s asked for"
    stale = [answer for answer in traffic.answers if not any(was_live(answer, life) for life in lives)]
    taken = [(answer.ended - answer.begun) * 1e3 for answer in traffic.answers]
    noticed = [(life.until - after.since) * 1e3 for life, after in pairwise(lives)]
    yield Row(case, "requests answered", len(traffic.answers), "")
    yield Row(case, "rate that the machine bore", len(traffic.answers) / seconds, "requests/s")
    yield Row(case, "requests failed", len(traffic.failures), "")
    yield Row(case, "answers by a version that was not live", len(stale), "")
    yield Row(case, "from a promotion to its first answer, median", percentile(noticed, 50), "ms")
    yield Row(case, "from a promotion to its first answer, longest", max(noticed), "ms")
    yield Row(case, "request, median", percentile(taken, 50), "ms")
    yield Row(case, "request, 99th percentile", percentile(taken, 99), "ms")


def was_live(answer: Answer, life: Life) -> bool:
    """Whether a version was promoted before an answer, and not yet replaced when it was asked for."""
    return answer.version == life.version and life.since <= answer.ended and answer.begun <= life.until


def swapped(
    store: DirectoryStore, versions: Sequence[str], traffic: Traffic, swaps: int
) -> tuple[list[Life], float]:
    """Promote and roll back under traffic, the next one once the last was seen; lives, and seconds it
    took."""
    lives: list[Life] = []
    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        flow = threading.Thread(target=traffic.flow, args=(pool,))
        flow.start()
        live, since = traffic.ask(), 0.0
        for number in range(swaps):
            at = time.perf_counter()
            after = swap(store, versions, number)
            while traffic.ask() != after:
                time.sleep(0.005)
            lives.append(Life(live, since, time.perf_counter()))
            live, since = after, at
        seconds = time.perf_counter() - start
        traffic.ended.set()
        flow.join()
    return [*lives, Life(live, since, time.perf_counter())], seconds


def swap(store: DirectoryStore, versions: Sequence[str], number: int) -> str:
    """Every third time back to the version before, else on to the next; the version that is promoted now."""
    if number % 3 == 2:
        return store.rollback(TENANT, RANKER)
    now = store.promotion(TENANT, RANKER).version
    after = versions[(versions.index(now) + 1) % len(versions)]
    store.promote(TENANT, RANKER, after)
    return after


def prepared(root: Path) -> tuple[DirectoryStore, list[str]]:
    """A store with several versions of one ranker, boosters that differ in a note."""
    bundle = boosted(root / "bundle", TREES)
    (root / "store").mkdir()
    versions = [install(root / "store", bundle, TENANT, str(number)) for number in range(VERSIONS)]
    return DirectoryStore(root / "store"), versions


def request() -> bytes:
    """One ranking."""
    return to_message(
        Request(query="w3 w7 w11", candidates=documents()[:CANDIDATES]), TENANT
    ).SerializeToString()
