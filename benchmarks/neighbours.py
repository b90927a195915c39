"""A noisy neighbour: what the others wait for while one tenant sends ten times its quota.

Three tenants ask at a steady rate (open loop: a request is sent at its time, whether or not those before it
are answered, and its latency counts from then), first alone, then beside a fourth one in a process of its own
that sends ten times what its quota allows; turn and turn about, because the machine is shared. The quiet
ones take about a fifth of the machine, the quota is a tenth of it. A second case takes it away, so that fair
queueing alone protects the others. The goal: a p99 within 1.5 times that alone.
"""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any

import grpc
import numpy as np

from benchmarks import rank, two_clients
from benchmarks.harness import Row, uncollected
from cascade.store import DirectoryStore
from cascade.tenants import Quota, Tenant, Tenants
from serving.testing import serving_process
from sluice.request import Request, to_message
from sluice.v1 import ranking_pb2 as pb
from sluice.v1 import ranking_pb2_grpc as rpc

SHORT = False
SEED = 3
QUIET = ("quiet-1", "quiet-2", "quiet-3")
NOISY = "noisy"
ROUNDS, REQUESTS = 4, 150
SHORTEST_S, LONGEST_S = 6.0, 20.0
"""A turn lasts for so many quiet requests, within these bounds."""
CALIBRATION = 30
PART, QUOTA, EXCESS = 0.2, 0.1, 10.0
"""Of the machine: what the quiet ones take together; the noisy one's quota, and how often it sends that."""
CANDIDATES = 100
ALONE = "alone"


@dataclass(frozen=True, slots=True)
class Setting:
    """What is asked of a server.

    Attributes:
        message: makes the request of a tenant.
        rate: requests a second of all quiet tenants together; `noise` of the noisy one.
    """

    message: Callable[[str], Any]
    rate: float
    noise: float

    @property
    def seconds(self) -> float:
        """How long a turn lasts."""
        return min(LONGEST_S, max(SHORTEST_S, REQUESTS / self.rate))


def run() -> Iterator[Row]:
    """The quiet tenants' latency alone and beside the noisy one, for a cheap cascade and a model."""
    with TemporaryDirectory() as folder:
        yield from case("noisy neighbour", rank.lambdamart_store(Path(folder)), documents(), True)
    with TemporaryDirectory() as folder:
        yield from case("no quota", rank.lambdamart_store(Path(folder)), documents(), False)
    with TemporaryDirectory() as folder:
        store = two_clients.store(Path(folder), ["a quiet river", "a house"])
        yield from case("noisy neighbour, cross-encoder", store, passages(), True)


def documents() -> list[dict[str, Any]]:
    """Candidates of the cheap cascade."""
    return rank.documents()[:CANDIDATES]


def passages() -> list[dict[str, Any]]:
    """Candidates of the cross-encoder."""
    words = two_clients.vocabulary(two_clients.stage_alone())
    bodies = two_clients.bodies(words, 10, 30, np.random.default_rng(SEED))
    return [{"id": str(row), "body": body} for row, body in enumerate(bodies)]


def case(name: str, root: Path, rows: list[dict[str, Any]], limited: bool) -> Iterator[Row]:
    """All turns of one cascade."""

    def message(tenant: str) -> Any:
        return to_message(Request(query="w3 w7 w11", candidates=rows), tenant)

    publish(root)
    with serving_process(root) as server, grpc.insecure_channel(server.target) as channel:
        stub: Any = rpc.RankingStub(channel)  # type: ignore[no-untyped-call]
        seconds, units = calibrated(stub, message)
        setting = Setting(message, PART / seconds, QUOTA * EXCESS / seconds)
        if limited:
            quota = Quota(rate=units * QUOTA / seconds, burst=units * QUOTA / seconds)
            Tenants(root).add(NOISY, Tenant(quota=quota))
            sleep(2.0)  # servers notice within a poll
        alone, beside, counts = turns(stub, server.target, setting, root)
    yield from compared(name, alone, beside)
    yield Row(name, "sent by the noisy one", setting.noise, "1/s")
    yield Row(name, "answered of it", counts[0] / max(1, sum(counts)) * setting.noise, "1/s")


def publish(root: Path) -> None:
    """The benchmark's ranker for every tenant."""
    shelf = DirectoryStore(root)
    bundle = shelf.path(two_clients.TENANT, "default")
    for tenant in (*QUIET, NOISY):
        shelf.promote(tenant, "default", shelf.publish(tenant, "default", bundle))


def calibrated(stub: Any, message: Callable[[str], Any]) -> tuple[float, float]:
    """Seconds that a request takes alone, and units that it costs its quota."""
    taken = []
    for _ in range(CALIBRATION):
        start = perf_counter()
        answer = stub.Rank(message(QUIET[0]), timeout=60)
        taken.append(perf_counter() - start)
    tokens = sum(stage.tokens for stage in answer.stages)
    return float(np.median(taken[5:])), len(answer.results) + tokens


def turns(
    stub: Any, target: str, setting: Setting, root: Path
) -> tuple[list[float], list[float], tuple[int, int]]:
    """Milliseconds of quiet requests alone and beside the noisy one, and its own requests by outcome."""
    random, alone, beside, counts = np.random.default_rng(SEED), list[float](), list[float](), (0, 0)
    with uncollected(), noise(target, setting, root) as told:
        for _ in range(ROUNDS):
            alone += latencies(stub, setting, random)
            told("go")
            sleep(1.0)
            beside += latencies(stub, setting, random)
            answered, refused = map(int, told("stop").split())
            counts = (counts[0] + answered, counts[1] + refused)
    return alone, beside, counts


def latencies(stub: Any, setting: Setting, random: np.random.Generator) -> list[float]:
    """Milliseconds of every request that the quiet tenants send within one turn."""
    due = np.cumsum(random.exponential(1 / setting.rate, int(2 * setting.seconds * setting.rate) + 10))
    messages = [setting.message(tenant) for tenant in QUIET]
    calls: list[tuple[float, Any]] = []
    done: dict[int, float] = {}
    start = perf_counter()
    for number, moment in enumerate(due[due < setting.seconds].tolist()):
        sleep(max(0.0, start + moment - perf_counter()))
        call = stub.Rank.future(messages[number % len(messages)], timeout=60)
        call.add_done_callback(lambda _, number=number: done.setdefault(number, perf_counter()))
        calls.append((start + moment, call))
    for _, call in calls:
        call.result()
    while len(done) < len(calls):
        sleep(0.001)
    return [(done[number] - moment) * 1e3 for number, (moment, _) in enumerate(calls)]


@contextmanager
def noise(target: str, setting: Setting, root: Path) -> Iterator[Callable[[str], str]]:
    """The noisy tenant in a process of its own; tell it to go, or to stop and count."""
    file = root / "noise.request"
    file.write_bytes(setting.message(NOISY).SerializeToString())
    command = [sys.executable, "-m", "benchmarks.neighbours", target, str(file), str(setting.noise)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:

        def told(word: str) -> str:
            assert child.stdin
            assert child.stdout
            child.stdin.write(word + "\n")
            child.stdin.flush()
            return child.stdout.readline()

        try:
            yield told
        finally:
            child.kill()


def be_noisy(target: str, file: Path, rate: float) -> None:
    """Send the same request at a steady rate between the words `go` and `stop`, and count what came of it."""
    over, counts = threading.Event(), [0, 0]
    message = pb.RankRequest.FromString(file.read_bytes())
    with grpc.insecure_channel(target) as channel:
        stub: Any = rpc.RankingStub(channel)  # type: ignore[no-untyped-call]

        def count(call: Any) -> None:
            counts[0 if call.code() is grpc.StatusCode.OK else 1] += 1

        def send() -> None:
            start, sent = perf_counter(), 0
            while not over.is_set():
                while sent < (perf_counter() - start) * rate:
                    stub.Rank.future(message, timeout=5).add_done_callback(count)
                    sent += 1
                sleep(0.001)

        for word in sys.stdin:
            if word.strip() == "go":
                over.clear()
                counts[:] = [0, 0]
                thread = threading.Thread(target=send)
                thread.start()
                print("sending", flush=True)
            else:
                over.set()
                thread.join()
                print(*counts, flush=True)


def compared(name: str, alone: Sequence[float], beside: Sequence[float]) -> Iterator[Row]:
    """The others' latency beside the noisy one, against their latency alone."""
    for label, share in (("p50", 0.5), ("p99", 0.99)):
        theirs, ours = float(np.quantile(alone, share)), float(np.quantile(beside, share))
        yield Row(name, f"latency of the others alone, {label}", theirs, "ms")
        yield Row(name, f"latency of the others, {label}", ours, "ms", ALONE, theirs / ours)
    yield Row(name, "requests of the others", float(len(beside)), "")


if __name__ == "__main__":
    be_noisy(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
