"""`durability`: kill a server under load, many times, and look whether every acknowledged event counts once.

    python -m benchmarks durability --kills 1000 [--at-once 4] [--seed 7]

Servers are processes of their own (forked from one that has imported everything, so that a thousand of
them do not take hours), write to one event log beside each other, and are killed with SIGKILL at random
moments, from outside, while clients record and rank. What a client was not told is safe it sends again to the
next server, so that events come twice, late and out of order. Now and then a compactor runs, and is killed as
well. In the end the log is compacted and joined: each acknowledged page is there once, with its clicks once.
"""

import argparse
import logging
import multiprocessing
import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.harness import Row
from cascade.eventlog.compact import compact
from cascade.eventlog.layout import home_of
from cascade.store import DirectoryStore
from cascade.testing import write_tiny_bundle
from serving.observe import configure_logs
from serving.server import Server
from serving.settings import Feedback, Settings
from sluice import Client, Impression, Interaction, RankError, Recorded
from training.events.join import Join
from training.events.rules import Rules

SHORT = False
TENANT = "demo"
SHOWN, CLICKED = 10, 5
RANKED = ("a", "b", "c")
LONGEST_S = 0.4
"""A server lives at most this long after its first answer."""
COMPACTOR_EVERY = 5

context = multiprocessing.get_context("forkserver")


@dataclass(slots=True)
class Ledger:
    """What clients know. Any thread may write.

    Attributes:
        sent: request id → batch. `safe`: request ids of the batches that a server acknowledged.
        unsure: batches to send again. `repeated`: how many were.
        impressions: request ids of rankings whose impression a server said it has kept.
    """

    safe: set[str] = field(default_factory=set)
    unsure: list["Batch"] = field(default_factory=list)
    sent: dict[str, "Batch"] = field(default_factory=dict)
    impressions: set[str] = field(default_factory=set)
    repeated: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class Batch:
    """One page with its clicks, last clicks first and the page in the end: order may not matter."""

    request_id: str
    events: tuple[Interaction | Impression, ...]


def batch_of(request_id: str) -> Batch:
    """Ten items, of which five are clicked."""
    clicks = tuple(
        Interaction(request_id=request_id, candidate_id=f"c{item}", event_id=f"{item}", time=1_790_000_010.0)
        for item in reversed(range(CLICKED))
    )
    page = Impression(
        request_id=request_id, candidates=[f"c{item}" for item in range(SHOWN)], time=1_790_000_000.0
    )
    return Batch(request_id, (*clicks, page))


def serve(store: str, log: str, pipe: Connection) -> None:
    """A server in a process of its own; it says its port, and serves until it is killed."""
    configure_logs(level=logging.CRITICAL)
    feedback = Feedback(wait=True, segment_s=0.3)
    server = Server(Settings(store=store, log=log, port=0, feedback=feedback), DirectoryStore(Path(store)))
    server.start()
    server.ready.wait()
    pipe.send(server.port)
    threading.Event().wait()


def compact_forever(home: str) -> None:
    """A compactor in a process of its own."""
    while True:
        compact(Path(home))


@contextmanager
def killed(target: Any, *arguments: Any) -> Iterator[Any]:
    """A process that ends by SIGKILL and in no other way."""
    child = context.Process(target=target, args=arguments, daemon=True)
    child.start()
    try:
        yield child
    finally:
        child.kill()  # SIGKILL
        child.join()


def one_life(number: int, store: Path, log: Path, ledger: Ledger, seed: int) -> None:
    """One server: started, put under load, and killed at a random moment."""
    rng = random.Random(f"{seed}-{number}")
    ours, theirs = context.Pipe()
    answered, over = threading.Event(), threading.Event()
    with killed(serve, str(store), str(log), theirs) as child:
        if not ours.poll(120):
            raise TimeoutError("a server did not become ready")
        with Client(f"127.0.0.1:{ours.recv()}", TENANT, timeout_s=10.0) as client:
            threads = [
                threading.Thread(target=load, args=(client, f"{number}-{thread}", ledger, answered, over))
                for thread in range(2)
            ]
            for thread in threads:
                thread.start()
            answered.wait(60)
            over.wait(rng.uniform(0.0, LONGEST_S))
            child.kill()
            over.set()
            for thread in threads:
                thread.join()


def load(client: Client, name: str, ledger: Ledger, answered: threading.Event, over: threading.Event) -> None:
    """Record and rank until the server is gone. What it did not acknowledge goes back to the ledger."""
    for number in range(1_000_000):
        with ledger.lock:
            again = ledger.unsure.pop() if ledger.unsure and number % 2 else None
            ledger.repeated += again is not None
        batch = again or batch_of(f"{name}-{number}")
        try:
            answer = client.record(batch.events)
            settle(ledger, batch, answer)
            answered.set()
            if number % 4 == 0:
                rank(client, f"{name}-{number}-ranked", ledger)
        except RankError:
            with ledger.lock:
                if batch.request_id not in ledger.safe:
                    ledger.sent[batch.request_id] = batch
                    ledger.unsure.append(batch)
            return
        if over.is_set():
            return


def settle(ledger: Ledger, batch: Batch, answer: Recorded) -> None:
    """Note what a server acknowledged."""
    if answer.rejected or answer.accepted + answer.duplicate != len(batch.events):
        raise AssertionError(f"a good batch was answered by {answer}")
    with ledger.lock:
        ledger.sent[batch.request_id] = batch
        ledger.safe.add(batch.request_id)


def rank(client: Client, request_id: str, ledger: Ledger) -> None:
    """A ranking whose impression the service logs itself, before it answers."""
    found = client.rank("a query", {"id": RANKED}, request_id=request_id, log=True)
    if not any(warning.startswith("log:") for warning in found.warnings):
        with ledger.lock:
            ledger.impressions.add(request_id)


def compactor_life(home: Path, seed: int, number: int) -> None:
    """A compactor that is killed amid its work."""
    with killed(compact_forever, str(home)):
        threading.Event().wait(random.Random(f"c{seed}-{number}").uniform(0.0, 1.0))


def torture(folder: Path, kills: int, at_once: int = 4, seed: int = 7) -> tuple[Ledger, Path]:
    """Kill so many servers; the ledger of what clients were told, and the log that is left."""
    context.set_forkserver_preload(["benchmarks.durability"])
    store, log, ledger = tiny_store(folder), folder / "log", Ledger()
    log.mkdir()

    def life(number: int) -> None:
        one_life(number, store, log, ledger, seed)
        if number % COMPACTOR_EVERY == 0:
            compactor_life(home_of(log, TENANT), seed, number)

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(life, range(kills)))
    return ledger, log


def tiny_store(folder: Path) -> Path:
    """A store in which a ranker of two small stages is promoted."""
    store = DirectoryStore(folder / "store")
    store.promote(
        TENANT, "default", store.publish(TENANT, "default", write_tiny_bundle(folder / "bundle", 3.0))
    )
    return store.root


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the labels say of what clients were told. All but the first three have to be 0."""

    acknowledged: int
    unacknowledged: int
    torn_bytes: int
    lost: int
    doubled: int
    invented: int


def verdict(ledger: Ledger, log: Path) -> Verdict:
    """Compact, join, and compare each page and each click with the ledger."""
    made = compact(home_of(log, TENANT))
    pages: dict[str, int] = {}
    clicks: dict[tuple[str, str], int] = {}
    for part in Join(root=log, tenant=TENANT, rules=Rules(bot_events=1 << 40)):
        table = part.table
        requests, items = table["request_id"].to_pylist(), table["candidate_id"].to_pylist()
        for request in np.asarray(requests, object)[part.offsets[:-1]]:
            pages[request] = pages.get(request, 0) + 1
        for request, item, count in zip(requests, items, table["n_click"].to_pylist(), strict=True):
            if count:
                clicks[request, item] = clicks.get((request, item), 0) + count
    safe = {(name, f"c{item}") for name in ledger.safe for item in range(CLICKED)}
    possible = {(name, f"c{item}") for name in ledger.sent for item in range(CLICKED)}
    must = ledger.safe | ledger.impressions
    return Verdict(
        acknowledged=len(safe) + len(must),
        unacknowledged=len(possible) - len(safe),
        torn_bytes=made.torn_bytes + made.damaged_bytes,
        lost=len(safe - set(clicks)) + len(must - set(pages)),
        doubled=sum(count > 1 for count in [*clicks.values(), *pages.values()]),
        invented=len(set(clicks) - possible),
    )


def run(arguments: Sequence[str] = ()) -> list[Row]:
    """Kill servers, and count."""
    parser = argparse.ArgumentParser("python -m benchmarks durability")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args(arguments)
    start = perf_counter()
    with TemporaryDirectory() as folder:
        ledger, log = torture(Path(folder), asked.kills, asked.at_once, asked.seed)
        found = verdict(ledger, log)
    case = f"{asked.kills} kills, {asked.at_once} servers at once"
    return [
        Row(case, "acknowledged events", found.acknowledged, "events"),
        Row(case, "of them lost", found.lost, "events", "none allowed"),
        Row(case, "events counted more than once", found.doubled, "events", "none allowed"),
        Row(case, "events that nobody sent", found.invented, "events", "none allowed"),
        Row(case, "sent and never acknowledged", found.unacknowledged, "events"),
        Row(case, "batches sent again", ledger.repeated, "batches"),
        Row(case, "impressions logged by the service", len(ledger.impressions), "events"),
        Row(case, "torn at the end of segments", found.torn_bytes, "bytes"),
        Row(case, "time", perf_counter() - start, "s"),
    ]
