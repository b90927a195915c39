"""Two clients at once: what 10 short candidates wait for beside somebody's 1,000 long ones.

The embedded cross-encoder scores both. One client asks with 10 short candidates, one request after the other,
first alone and then while another one's 1,000 long candidates are being scored; turn and turn about, because
the machine is shared. In one process, through the stage; and over gRPC, with the server in another process.
The goal: no more than twice the latency alone.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import grpc
import numpy as np

from benchmarks.harness import Row
from cascade.config import parse_config
from cascade.deadline import Deadline
from cascade.draft import Draft, write_bundle
from cascade.stages.cross_encoder import CrossEncoder, LoadedCrossEncoder, load_cross_encoder
from cascade.stages.embedded import embedded_model
from cascade.store import DirectoryStore
from cascade.testing import no_features
from features.batch import CandidateBatch, Query, single
from features.columns import text
from serving.testing import serving_process
from sluice.request import Request, to_message
from sluice.v1 import ranking_pb2_grpc as rpc

SHORT = True
SEED = 5
ROUNDS, REQUESTS = 3, 12
FEW, FEW_WORDS = 10, 20
MANY, MANY_WORDS = 1_000, 400
TENANT = "bench"
ALONE = "latency alone"
CASCADE = '[[stages]]\nkind = "cross_encoder"\nfields = ["body"]\ncache_mb = 0\n'

Ask = Callable[[Sequence[str]], object]
Beside = Callable[[], AbstractContextManager[None]]


def run() -> Iterator[Row]:
    """Latencies of the small client alone and beside the large one."""
    random = np.random.default_rng(SEED)
    stage = stage_alone()
    words = vocabulary(stage)
    few = [bodies(words, FEW, FEW_WORDS, random) for _ in range(REQUESTS)]
    many = bodies(words, MANY, MANY_WORDS, random)
    yield from in_one_process(stage, few, many)
    with TemporaryDirectory() as folder, serving_process(store(Path(folder), few[0])) as server:
        yield from over_grpc(server.target, few, many)


def stage_alone() -> LoadedCrossEncoder:
    """The embedded cross-encoder."""
    return load_cross_encoder(CrossEncoder(name="ce", fields=("body",), cache_mb=0), embedded_model())


def in_one_process(stage: LoadedCrossEncoder, few: list[list[str]], many: list[str]) -> Iterator[Row]:
    """Through the stage."""
    alone, beside = turns(lambda some: ask(stage, some), lambda: busy(stage, many), few)
    yield from compared("one process", alone, beside)


def over_grpc(target: str, few: list[list[str]], many: list[str]) -> Iterator[Row]:
    """Through a server of its own process."""
    with grpc.insecure_channel(target) as one, grpc.insecure_channel(target) as other:
        small: Any = rpc.RankingStub(one)  # type: ignore[no-untyped-call]
        large: Any = rpc.RankingStub(other)  # type: ignore[no-untyped-call]
        alone, beside = turns(lambda some: call(small, some).result(), lambda: calling(large, many), few)
        yield from compared("gRPC", alone, beside)


def vocabulary(stage: LoadedCrossEncoder) -> list[str]:
    """Words that are one token each."""
    known = stage.pairing.tokenizer.reference.get_vocab()
    return sorted(word for word in known if word.isascii() and word.isalpha() and len(word) > 3)


def bodies(words: Sequence[str], count: int, length: int, random: np.random.Generator) -> list[str]:
    """Texts of about `length` words."""
    lengths = (length * np.exp(random.normal(0, 0.2, count))).astype(int).clip(3)
    return [" ".join(random.choice(words, size)) for size in lengths.tolist()]


def turns(small: Ask, large: Beside, few: list[list[str]]) -> tuple[list[float], list[float]]:
    """Milliseconds of the small client's requests, alone and beside the large one's."""
    latencies(small, few[:3])
    alone: list[float] = []
    beside: list[float] = []
    for _ in range(ROUNDS):
        alone += latencies(small, few)
        with large():
            latencies(small, few[:1])
            beside += latencies(small, few)
    return alone, beside


def latencies(small: Ask, few: list[list[str]]) -> list[float]:
    """Milliseconds of each request."""
    taken = []
    for some in few:
        start = perf_counter()
        small(some)
        taken.append((perf_counter() - start) * 1e3)
    return taken


def compared(case: str, alone: list[float], beside: list[float]) -> Iterator[Row]:
    """The small client's latency beside the large one, against its latency alone."""
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        theirs, ours = float(np.quantile(alone, share)), float(np.quantile(beside, share))
        yield Row(case, f"{FEW} short candidates alone, {name}", theirs, "ms")
        yield Row(case, f"beside {MANY:,} long ones, {name}", ours, "ms", ALONE, theirs / ours)


def ask(stage: LoadedCrossEncoder, some: Sequence[str], deadline: Deadline | None = None) -> object:
    """The stage's scores of some candidates."""
    batch = as_batch(some)
    return stage.score(batch, no_features(batch), deadline or Deadline.after(60))


def as_batch(some: Sequence[str]) -> CandidateBatch:
    """One query's candidates."""
    return single(Query("quiet river house"), list(map(str, range(len(some)))), {"body": text(some)})


@contextmanager
def busy(stage: LoadedCrossEncoder, many: list[str]) -> Iterator[None]:
    """Somebody has many candidates scored, again and again, until the block ends."""
    over = threading.Event()

    def again() -> None:
        while not over.is_set():
            ask(stage, many, Deadline.after(600, cancelled=over.is_set))

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def calling(stub: Any, many: list[str]) -> Iterator[None]:
    """The same over gRPC; the call outlasts the block, and is cancelled with it."""
    pending = call(stub, many)
    try:
        yield
    finally:
        pending.cancel()


def call(stub: Any, some: Sequence[str]) -> Any:
    """A request on its way."""
    rows = [{"id": str(row), "body": body} for row, body in enumerate(some)]
    message = to_message(Request(query="quiet river house", candidates=rows), TENANT)
    return stub.Rank.future(message, timeout=600)


def store(root: Path, some: list[str]) -> Path:
    """A store that serves the embedded cross-encoder alone."""
    config = parse_config(CASCADE)
    files = root / "files"
    files.mkdir()
    (files / "cross_encoder").symlink_to(embedded_model(), target_is_directory=True)
    draft = Draft("default", config, config.feature_set(), files, as_batch(some[:2]))
    write_bundle(root / "bundle", draft, datetime(2026, 1, 1, tzinfo=UTC))
    shelf = DirectoryStore(root / "store")
    shelf.promote(TENANT, "default", shelf.publish(TENANT, "default", root / "bundle"))
    return shelf.root
