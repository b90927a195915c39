"""`clicks`: events accepted durably, compacted, joined and learned from, a second and in memory.

    python -m benchmarks clicks [--events 1000000 10000000 50000000] [--clients 4]

Accepted: over real gRPC, by a server of its own process, from several client processes that send ready-made
bytes; what the server's processor spends on an event is told too, as clients and disk share the machine.
Joined, in processor time of all threads: beside what pyarrow needs to scan the same columns of the same
Parquet, and to count clicks by item with its own hash join, which keeps no rules, drops no repetition and
holds everything in memory (so that only the smallest log is joined so). DuckDB's scan too, if installed.
Learned: the join's pages, kept on the disk, and each click model fitted to them part by part.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import grpc
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from benchmarks.click_models import MODELS
from benchmarks.durability import tiny_store
from benchmarks.harness import Row, interleaved, peak_growth_mib
from cascade.eventlog.compact import by_day, compact, write
from cascade.eventlog.layout import DAY, IMPRESSIONS, INTERACTIONS, KINDS, home_of
from cascade.eventlog.tables import SCHEMAS, TIME
from cascade.eventlog.testing import START_S, TENANT, done, shown, write_segment
from cascade.events import MICROS
from features.columns import Rows
from serving.testing import serving_process
from sluice import Interaction
from sluice.feedback import to_record
from training.clicks.dbn import DynamicBayesian
from training.clicks.impressions import Source
from training.clicks.pairs import Pairs
from training.clicks.readers import JoinedReader
from training.clicks.shelf import shelved
from training.events.join import Join
from training.events.rules import Rules

SHORT = False
ITEMS = 10
ALL_ITEMS = 1 << 20
QUERIES = 100_000
DAYS = 10
SMALL = 1_000_000
"""Events of a log that may be measured several times, and joined in memory."""
LARGE, ROUNDS = 20_000_000, 3
"""Events beyond which the full DBN would take an hour and more."""
RECORD = "/sluice.v1.Feedback/Record"
THREADS = 8
TURNS = 3


def run(arguments: Sequence[str] = ()) -> Iterator[Row]:
    """Accept, compact, join."""
    parser = argparse.ArgumentParser("python -m benchmarks clicks")
    parser.add_argument("--events", type=int, nargs="*", default=[1_000_000])
    parser.add_argument("--clients", type=int, default=4)
    asked = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        yield from accepting(Path(folder), asked.clients)
        yield compacting(Path(folder) / "compacted")
    for events in asked.events:
        with TemporaryDirectory() as folder:
            make_log(Path(folder) / "log", events)
            yield from joining(Path(folder) / "log", events)
            yield from learning(Path(folder), events)


def accepting(folder: Path, clients: int) -> Iterator[Row]:
    """Events a second that are on the disk, in batches and one by one."""
    folder.mkdir(exist_ok=True)
    with serving_process(tiny_store(folder), "--log", str(folder / "served")) as server:
        for batch, calls in ((500, 100), (1, 1_000)):
            before = busy_s(server.child.pid)
            rate = accepted_rate(server.target, clients, batch, calls)
            spent = (busy_s(server.child.pid) - before) / (clients * calls * batch)
            case = f"{clients} clients, {THREADS} calls at a time, {batch} events a call"
            yield Row(case, "accepted durably", rate, "events/s")
            yield Row(case, "processor time of the server", spent * 1e6, "µs an event")


def busy_s(pid: int) -> float:
    """Processor time that a process has spent."""
    import psutil

    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def accepted_rate(target: str, clients: int, batch: int, calls: int) -> float:
    """Events a second, all clients together; they begin once all have their messages ready."""
    command = [sys.executable, "-m", "benchmarks.clicks", target, str(batch), str(calls)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with ExitStack() as stack:
        children = [
            stack.enter_context(subprocess.Popen([*command, str(number)], **pipes))  # type: ignore[call-overload]
            for number in range(clients)
        ]
        for child in children:
            child.stdout.readline()
        start = perf_counter()
        for child in children:
            child.stdin.close()
        for child in children:
            child.wait()
        return clients * calls * batch / (perf_counter() - start)


def client(target: str, batch: int, calls: int, number: int) -> None:
    """Make messages, wait for the start, send all of them."""
    messages = [bytes_of(f"{number}-{batch}-{call}", batch) for call in range(calls)]
    print("ready", flush=True)
    sys.stdin.read()
    with grpc.insecure_channel(target) as channel, ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(channel.unary_unary(RECORD, None, None), messages):
            pass


def bytes_of(name: str, batch: int) -> bytes:
    """A batch of clicks."""
    clicks = (
        Interaction(event_id=f"{name}-{row}", request_id=f"r{row}", candidate_id="c1", user_id=f"u{row % 97}")
        for row in range(batch)
    )
    message: bytes = to_record(clicks, "demo", 1_790_000_000.0).SerializeToString()
    return message


def compacting(root: Path, pages: int = 100_000) -> Row:
    """Events a second from a segment into Parquet."""
    events = [
        event for page in range(pages) for event in (shown(f"r{page}"), done(f"{page}", f"r{page}", "b"))
    ]
    home = home_of(write_segment(root, events), TENANT)
    start = process_time()
    compact(home)
    rate = 2 * pages / (process_time() - start)
    return Row(f"{2 * pages:,} events", "compacted", rate, "events a processor second")


def joining(root: Path, events: int) -> Iterator[Row]:
    """The join beside plain scans of the same files."""
    home = home_of(root, TENANT)
    contestants: dict[str, Callable[[int], object]] = {
        "join": lambda _: join(root),
        "pyarrow scan": lambda _: scan(home),
    }
    if events <= SMALL:
        contestants["pyarrow hash join"] = lambda _: plain_join(home)
    if find_spec("duckdb"):
        contestants["DuckDB scan"] = lambda _: duckdb_scan(home)
    spent = {name: cost(partial(once, 0)) for name, once in contestants.items()}
    taken = {name: seconds for name, (seconds, _) in spent.items()}
    if events <= SMALL:
        taken = interleaved(contestants, range(TURNS), process_time)
    for name, seconds in taken.items():
        yield from rates(name, events, seconds, spent[name][1], None if name == "join" else taken["join"])


def learning(folder: Path, events: int) -> Iterator[Row]:
    """The joined pages onto the disk, and the click models fitted to them."""
    log = Join(root=folder / "log", tenant=TENANT, rules=Rules())
    kept: list[Source] = []
    yield from rates("join, pages kept", events, *cost(lambda: kept.append(read(log, folder / "pages"))))
    pairs: list[Pairs] = []
    yield from rates("queries' documents", events, *cost(lambda: pairs.append(Pairs.of(kept[0]))))
    yield Row(case_of(events), "queries' documents", len(pairs[0]), "of them")
    for name, model in fitted(events):
        yield from rates(f"fit {name}", events, *cost(partial(model.fit, kept[0], pairs[0])))


def fitted(events: int) -> Iterator[tuple[str, Any]]:
    """The click models; of a large log the full DBN, whose rounds are passes over the disk, in part only."""
    for model in MODELS:
        if events > LARGE and isinstance(model, DynamicBayesian):
            yield (
                f"{model.name}, {ROUNDS} rounds",
                replace(model, patience=replace(model.patience, rounds=ROUNDS)),
            )
        else:
            yield model.name, model


def read(log: Join, folder: Path) -> Source:
    """The log's pages as a source on the disk."""
    folder.mkdir()
    return shelved(JoinedReader().source(lambda: log), folder)


def cost(run: Callable[[], object]) -> tuple[float, float]:
    """Processor seconds of all threads, and MiB that memory grows at the peak."""
    start = process_time()
    memory = peak_growth_mib(run)
    return process_time() - start, memory


def rates(
    name: str, events: int, seconds: float, memory_mib: float, than: float | None = None
) -> Iterator[Row]:
    """Events a second, bytes an event; `than`: seconds of our join, to compare with."""
    case = case_of(events)
    against = "our join" if than else None
    ratio = than / seconds if than else None
    yield Row(case, name, events / seconds, "events a processor second", against, ratio)
    yield Row(case, f"{name}, peak", memory_mib, "MiB")
    yield Row(case, f"{name}, peak", memory_mib * 2**20 / events, "bytes an event")


def case_of(events: int) -> str:
    """How much is read."""
    return f"{events:,} events, {events // 2 * ITEMS:,} items"


def join(root: Path) -> int:
    """Items in the joined table."""
    return sum(len(pages.table) for pages in Join(root=root, tenant=TENANT, rules=Rules()))


def needed(home: Path, kind: str) -> tuple[ds.Dataset, list[str]]:
    """A kind's files, and the columns that the join reads too."""
    features = ("features", "names", "fingerprint", "context")
    dropped = ("arrival", *(("event_id", "ranked", *features) if kind == IMPRESSIONS else ("source",)))
    return ds.dataset(home / kind), [name for name in SCHEMAS[kind].names if name not in dropped]


def scan(home: Path) -> int:
    """Bytes of all that the join reads, a batch at a time."""
    found = (needed(home, kind) for kind in KINDS)
    return sum(batch.nbytes for dataset, columns in found for batch in dataset.to_batches(columns=columns))


def plain_join(home: Path) -> int:
    """Clicks by page and item, with pyarrow's own join and no rules at all."""
    reads = (needed(home, kind) for kind in KINDS)
    pages, clicks = (dataset.to_table(columns=columns) for dataset, columns in reads)
    owner = pc.list_parent_indices(pages["candidates"])
    items = pa.table(
        {"request_id": pages["request_id"].take(owner), "candidate_id": pc.list_flatten(pages["candidates"])}
    )
    counted = clicks.group_by(["request_id", "candidate_id"]).aggregate([("type", "count")])
    return len(items.join(counted, ["request_id", "candidate_id"], join_type="left outer"))


def duckdb_scan(home: Path) -> int:
    """The same scan by DuckDB."""
    import duckdb  # type: ignore[import-not-found, unused-ignore]

    found = 0
    for kind in KINDS:
        columns = ", ".join(f'"{name}"' for name in needed(home, kind)[1])
        query = f"select {columns} from read_parquet('{home / kind}/**/*.parquet')"
        found += sum(batch.nbytes for batch in duckdb.sql(query).fetch_arrow_reader())
    return found


def make_log(root: Path, events: int, seed: int = 7) -> None:
    """A compacted log: half pages of ten items, half interactions, over ten days, a day at a time."""
    rng = np.random.default_rng(seed)
    for day in range(DAYS):
        pages = events // 2 // DAYS
        start = (START_S + 86_400 * day) * MICROS
        page = day * pages + np.arange(pages)
        times = np.sort(rng.integers(start, start + 86_400 * MICROS, pages))
        query = rng.zipf(1.3, pages) % QUERIES
        first = query * 97 % ALL_ITEMS + rng.integers(0, ITEMS, pages)
        on = rng.integers(0, pages, pages)
        written(root, IMPRESSIONS, day, impressions(rng, page, times, query, first))
        written(root, INTERACTIONS, day, interactions(rng, page, page[on], times[on], first[on]))


def impressions(rng: np.random.Generator, page: Rows, times: Rows, query: Rows, first: Rows) -> pa.Table:
    """A page a time; it shows ten items that are numbered from its first."""
    n = len(times)
    ends = pa.array(np.arange(0, ITEMS * n + 1, ITEMS, dtype=np.int32))
    places = np.tile(np.arange(ITEMS), n)
    scores = pa.array(rng.random(ITEMS * n, dtype=np.float32))
    columns = {
        "event_id": text(page),
        "request_id": text(page),
        "time": pa.array(times).cast(TIME),
        "query": text(query),
        "user": text(rng.integers(0, max(1, n // 5), n)),
        "candidates": pa.ListArray.from_arrays(ends, text(places + np.repeat(first, ITEMS))),
        "positions": pa.ListArray.from_arrays(ends, pa.array((places + 1).astype(np.int32))),
        "scores": pa.ListArray.from_arrays(ends, scores),
    }
    return filled(columns, IMPRESSIONS, n)


def interactions(rng: np.random.Generator, number: Rows, page: Rows, times: Rows, first: Rows) -> pa.Table:
    """Clicks and dwells with items that were shown, or nearly."""
    n = len(page)
    columns = {
        "event_id": text(number),
        "request_id": text(page),
        "candidate_id": text(first + rng.geometric(0.4, n) - 1),
        "type": pa.array(np.array(["CLICK", "DWELL"])[rng.integers(0, 2, n)]),
        "time": pa.array(times + rng.integers(MICROS, 600 * MICROS, n)).cast(TIME),
        "dwell_s": pa.array(rng.exponential(30, n)),
    }
    return filled(columns, INTERACTIONS, n)


def text(numbers: Rows) -> pa.Array:
    """Numbers as strings."""
    return pa.array(numbers).cast(pa.string())


def filled(columns: dict[str, pa.Array], kind: str, n: int) -> pa.Table:
    """A table of the log's schema, with nothing in the columns that are not given."""
    empty = {pa.string(): lambda: pa.array([""] * n, pa.string())}
    made = [
        columns[one.name]
        if one.name in columns
        else empty.get(one.type, lambda one=one: pa.nulls(n, one.type))()
        for one in SCHEMAS[kind]
    ]
    return pa.table(made, SCHEMAS[kind])


def written(root: Path, kind: str, made: int, table: pa.Table) -> None:
    """The files of each day; `made` tells those of one call from another's."""
    for day, part in by_day(table):
        write(root / TENANT / kind / f"{DAY}{day}" / f"m-{made}.parquet", part)


if __name__ == "__main__" and len(sys.argv) == 5:
    client(sys.argv[1], *map(int, sys.argv[2:]))
