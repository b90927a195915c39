"""`clicks`: events accepted durably, compacted and joined, a second and in memory.

    python -m benchmarks clicks [--events 1000000] [--large] [--clients 4]

Accepted: over real gRPC, by a server of its own process, from several client processes that send ready-made
bytes; what the server's processor spends on an event is told too, as clients and disk share the machine.
Joined, in processor time of all threads: beside what pyarrow needs to scan the same columns of the same
Parquet, and to count clicks by item with its own hash join, which keeps no rules and drops no repetition.
DuckDB's scan too, if installed.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import grpc
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

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
from training.events.join import Join
from training.events.rules import Rules

SHORT = False
ITEMS = 10
RECORD = "/sluice.v1.Feedback/Record"
THREADS = 8
TURNS = 3


def run(arguments: Sequence[str] = ()) -> Iterator[Row]:
    """Accept, compact, join."""
    parser = argparse.ArgumentParser("python -m benchmarks clicks")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--large", action="store_true", help="join 10 million events as well")
    parser.add_argument("--clients", type=int, default=4)
    asked = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        yield from accepting(Path(folder), asked.clients)
        yield compacting(Path(folder) / "compacted")
        for events in (asked.events, *((10_000_000,) if asked.large else ())):
            yield from joining(Path(folder) / str(events), events)


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
    case = f"{events:,} events, {events // 2 * ITEMS:,} items"
    make_log(root, events)
    home = home_of(root, TENANT)
    contestants: dict[str, Callable[[int], object]] = {
        "join": lambda _: join(root),
        "pyarrow scan": lambda _: scan(home),
        "pyarrow hash join": lambda _: plain_join(home),
    }
    if find_spec("duckdb"):
        contestants["DuckDB scan"] = lambda _: duckdb_scan(home)
    memory = {name: peak_growth_mib(partial(once, 0)) for name, once in contestants.items()}
    taken = interleaved(contestants, range(TURNS), process_time)
    for name, seconds in taken.items():
        against = None if name == "join" else "our join"
        rate = events / seconds
        yield Row(case, name, rate, "events a processor second", against, taken["join"] / seconds)
        yield Row(case, name, memory[name] * 2**20 / events, "bytes an event")


def join(root: Path) -> int:
    """Items in the joined table."""
    return sum(len(pages.table) for pages in Join(root=root, tenant=TENANT, rules=Rules()))


def needed(home: Path, kind: str) -> tuple[ds.Dataset, list[str]]:
    """A kind's files, and the columns that the join reads too."""
    features = ("features", "names", "fingerprint", "context")
    dropped = ("arrival", *(("event_id", "ranked", *features) if kind == IMPRESSIONS else ("source",)))
    return ds.dataset(home / kind), [name for name in SCHEMAS[kind].names if name not in dropped]


def scan(home: Path) -> int:
    """Bytes of all that the join reads, brought into memory."""
    tables = (
        dataset.to_table(columns=columns) for dataset, columns in (needed(home, kind) for kind in KINDS)
    )
    return sum(table.nbytes for table in tables)


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


def duckdb_scan(home: Path) -> object:
    """The same scan by DuckDB."""
    import duckdb

    found = []
    for kind in KINDS:
        columns = ", ".join(f'"{name}"' for name in needed(home, kind)[1])
        query = f"select {columns} from read_parquet('{home / kind}/**/*.parquet')"
        found.append(duckdb.sql(query).arrow())
    return found


def make_log(root: Path, events: int, seed: int = 7) -> None:
    """A compacted log: half pages of ten items, half interactions, over ten days; no Python objects."""
    rng = np.random.default_rng(seed)
    pages = events // 2
    times = np.sort(rng.integers(START_S * MICROS, (START_S + 864_000) * MICROS, pages))
    first, page = rng.integers(0, 1 << 20, pages), rng.integers(0, pages, events - pages)
    written(root, IMPRESSIONS, impressions(rng, times, first))
    written(root, INTERACTIONS, interactions(rng, times[page], first[page], page))


def impressions(rng: np.random.Generator, times: Rows, first: Rows) -> pa.Table:
    """A page a time; it shows ten items that are numbered from its first."""
    n = len(times)
    requests = text(np.arange(n))
    ends = pa.array(np.arange(0, ITEMS * n + 1, ITEMS, dtype=np.int32))
    places = np.tile(np.arange(ITEMS), n)
    scores = pa.array(rng.random(ITEMS * n, dtype=np.float32))
    columns = {
        "event_id": requests,
        "request_id": requests,
        "time": pa.array(times).cast(TIME),
        "query": text(rng.zipf(1.5, n) % 10_000),
        "user": text(rng.integers(0, max(1, n // 5), n)),
        "candidates": pa.ListArray.from_arrays(ends, text(places + np.repeat(first, ITEMS))),
        "positions": pa.ListArray.from_arrays(ends, pa.array((places + 1).astype(np.int32))),
        "scores": pa.ListArray.from_arrays(ends, scores),
    }
    return filled(columns, IMPRESSIONS, n)


def interactions(rng: np.random.Generator, times: Rows, first: Rows, page: Rows) -> pa.Table:
    """Clicks and dwells with items that were shown, or nearly."""
    n = len(page)
    columns = {
        "event_id": text(np.arange(n)),
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


def written(root: Path, kind: str, table: pa.Table) -> None:
    """The files of each day."""
    for day, part in by_day(table):
        write(root / TENANT / kind / f"{DAY}{day}" / "m-made.parquet", part)


if __name__ == "__main__" and len(sys.argv) == 5:
    client(sys.argv[1], *map(int, sys.argv[2:]))
