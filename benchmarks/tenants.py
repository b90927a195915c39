"""Thousands of tenants in one process: memory and cost of one more, first requests, and who loading disturbs.

A thousand tenants each have a booster of their own over the same features, and all share one cross-encoder,
whose file is in every bundle. One server holds them all; a client asks every tenant once, while a second one
keeps asking a tenant that is warm. Beside them a store of ten thousand tenants, most of which are never asked
for.

    python -m benchmarks tenants [--tenants 1000] [--store-tenants 10000] [--trees 100]
"""

import argparse
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import msgspec
import numpy as np

from benchmarks import rank as rank_benchmark
from benchmarks.harness import Row
from benchmarks.rank import RANK, as_batch, documents, resident_mb
from cascade.changes import announce
from cascade.config import parse_config
from cascade.draft import Draft, write_bundle
from cascade.manifest import MANIFEST, FileEntry, Manifest
from cascade.promotion import Promotion
from cascade.stages.embedded import embedded_model
from cascade.store import PROMOTED, VERSIONS
from cascade.testing import write_tiny_bundle
from serving.testing import serving_process
from sluice.request import Request, to_message

SHORT = False
CANDIDATES, RERANKED = 20, 3
AHEAD = 50
"""Tenants that are loaded before anybody asks."""
BLOCK, BLOCKS = 20, 12
ALONE = 200

CASCADE = """
[[features]]
kind = "bm25"
field = "title"

[[features]]
kind = "bm25"
field = "body"

[[stages]]
kind = "lambdamart"
keep = {keep}
"""
RERANKING = """
[[stages]]
kind = "cross_encoder"
fields = ["title", "body"]
max_tokens = 128
"""
SETTINGS = """
[rankers]
preload = {preload}
memory_mb = 20000
"""

NOTE = "pandas_categorical:"
NOTHING = f"{NOTE}null".encode()
"""Last line of a booster's file, which only data frames are read by: the place to make files differ."""

Ask = Callable[[str], float]


def run(options: Sequence[str] = ()) -> Iterator[Row]:
    """One process with many tenants, then a store with very many."""
    parser = argparse.ArgumentParser("python -m benchmarks tenants")
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--store-tenants", type=int, default=10_000)
    parser.add_argument("--trees", type=int, default=100)
    asked = parser.parse_args(options)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        bundle = boosted(root / "bundle", asked.trees, embedded_model())
        store = mall(root / "store", bundle, names(asked.tenants))
        yield from one_process(store, asked.tenants, root)
    with TemporaryDirectory() as folder:
        yield from at_start(Path(folder), asked.store_tenants)


def one_process(store: Path, tenants: int, root: Path) -> Iterator[Row]:
    """What a process with all tenants costs and how it answers."""
    every = names(tenants)
    ahead, cold = every[:AHEAD], every[AHEAD:]
    settings = settings_file(root, "[" + ", ".join(f'"{name}"' for name in ahead) + "]")
    case = f"{tenants:,} tenants, own boosters, one cross-encoder"
    with serving_process(store, "--settings", str(settings)) as server, asking(server.target) as ask:
        at_rest = resident_mb(server.child.pid)
        yield Row(case, f"resident, {AHEAD} loaded ahead", at_rest, "MB")
        warm = [ask(name) for name in ahead]
        yield Row(case, "first request of a tenant loaded ahead, median", median(warm[1:]), "ms")
        taken = disturbed(ask, ahead, cold)
        yield from first_requests(case, taken.first)
        yield from warm_requests(case, taken)
        grown = resident_mb(server.child.pid)
        yield Row(case, "resident with all of them", grown, "MB")
        yield Row(case, "one more tenant", (grown - at_rest) / len(cold), "MB")
        again = [ask(name) for name in cold[:ALONE]]
        yield Row(case, "later request of any tenant, median", median(again), "ms")
    yield from alone_in_a_process(root, store, ask_ms=percentile(taken.alone, 50))


def first_requests(case: str, first: Sequence[float]) -> Iterator[Row]:
    """What a cold tenant waits."""
    yield Row(case, "first request of a cold tenant, median", median(first), "ms")
    yield Row(case, "first request of a cold tenant, 99th percentile", percentile(first, 99), "ms")


def warm_requests(case: str, taken: "Taken") -> Iterator[Row]:
    """What a warm tenant waits, by what else goes on."""
    for which in (50, 99):
        alone, ranks, loads = (percentile(each, which) for each in (taken.alone, taken.ranks, taken.loads))
        yield Row(case, f"warm tenant, nobody else asks, {which}th percentile", alone, "ms")
        measure = f"warm tenant while warm ones are asked, {which}th percentile"
        yield Row(case, measure, ranks, "ms", "nobody else asks", alone / ranks)
        measure = f"warm tenant while cold ones are asked, {which}th percentile"
        yield Row(case, measure, loads, "ms", "warm ones are asked", ranks / loads)


def alone_in_a_process(root: Path, store: Path, ask_ms: float) -> Iterator[Row]:
    """The same tenant where it is the only one that is ever asked for."""
    name = names(1)[0]
    settings = settings_file(root, f'["{name}"]')
    with serving_process(store, "--settings", str(settings)) as server, asking(server.target) as ask:
        taken = [ask(name) for _ in range(ALONE)][20:]
        yield Row("one tenant alone", "resident", resident_mb(server.child.pid), "MB")
        alone = median(taken)
    yield Row("one tenant alone", "later request, median", alone, "ms")
    yield Row(
        "many tenants in the process",
        "warm tenant, nobody else asks",
        ask_ms,
        "ms",
        "one tenant alone",
        alone / ask_ms,
    )


@dataclass(frozen=True, slots=True)
class Taken:
    """Milliseconds of a warm tenant's requests: alone, while another client asks warm tenants, while it asks
    cold ones; and of the cold ones' first requests."""

    alone: list[float]
    ranks: list[float]
    loads: list[float]
    first: list[float]


def disturbed(ask: Ask, ahead: Sequence[str], cold: Sequence[str]) -> Taken:
    """The three in turns, a block of each."""
    taken, warm, others = Taken([], [], [], []), ahead[0], ahead[1:]
    for _ in range(20):
        ask(warm)
    for block in np.array_split(np.array(cold), BLOCKS):
        taken.alone.extend(ask(warm) for _ in range(BLOCK))
        again = [others[at % len(others)] for at in range(len(block))]
        taken.ranks.extend(beside(ask, warm, again, []))
        taken.loads.extend(beside(ask, warm, [str(name) for name in block], taken.first))
    return taken


def beside(ask: Ask, warm: str, others: Sequence[str], into: list[float]) -> list[float]:
    """Milliseconds of a warm tenant's requests for as long as another client asks the others, one by one."""
    made: list[float] = []
    thread = threading.Thread(target=lambda: into.extend(ask(name) for name in others))
    thread.start()
    while thread.is_alive():
        made.append(ask(warm))
    thread.join()
    return made


def at_start(root: Path, tenants: int) -> Iterator[Row]:
    """A server's start over very many tenants, beside a store of one."""
    bundle = write_tiny_bundle(root / "bundle")
    few, many = mall(root / "one", bundle, names(1)), mall(root / "many", bundle, names(tenants))
    case = f"store of {tenants:,} tenants"
    alone_s, alone_mb = started(few)
    ready_s, resident = started(many)
    yield Row("store of 1 tenant", "start until ready", alone_s, "s")
    yield Row("store of 1 tenant", "resident", alone_mb, "MB")
    yield Row(case, "start until ready", ready_s, "s", "1 tenant", alone_s / ready_s)
    yield Row(case, "resident", resident, "MB", "1 tenant", alone_mb / resident)
    (many / ".changes").unlink()
    untold_s, _ = started(many)
    yield Row(case, "start until ready, no list of changes", untold_s, "s", "1 tenant", alone_s / untold_s)


def started(store: Path, tries: int = 1) -> tuple[float, float]:
    """Seconds from the start of a process until it is ready, the best of some; and its resident MB."""
    seconds, resident = [], 0.0
    for _ in range(tries):
        start = time.perf_counter()
        with serving_process(store) as server:
            seconds.append(time.perf_counter() - start)
            resident = resident_mb(server.child.pid)
    return min(seconds), resident


@contextmanager
def asking(target: str) -> Iterator[Ask]:
    """Asks for a ranking in a tenant's name, and says how many milliseconds it took."""
    rows = documents()[:CANDIDATES]
    raw = {"": to_message(Request(query="w3 w7 w11", candidates=rows), "").SerializeToString()}
    with grpc.insecure_channel(target) as channel:
        call: Any = channel.unary_unary(RANK, None, None)

        def ask(tenant: str) -> float:
            message = (
                raw.get(tenant)
                or to_message(Request(query="w3 w7 w11", candidates=rows), tenant).SerializeToString()
            )
            raw[tenant] = message
            start = time.perf_counter()
            call(message, timeout=60)
            return (time.perf_counter() - start) * 1e3

        yield ask


def settings_file(root: Path, preload: str) -> Path:
    """Settings of a server."""
    path = root / "settings.toml"
    path.write_text(SETTINGS.format(preload=preload))
    return path


def names(count: int) -> list[str]:
    """Tenants."""
    return [f"t{number:05}" for number in range(count)]


def boosted(directory: Path, trees: int, model: Path | None = None) -> Path:
    """A bundle of features and a booster, and of a cross-encoder where one is named."""
    source = CASCADE.format(keep=RERANKED) + (RERANKING if model else "")
    source = source.replace("\n[[stages]]", numbers() + "\n[[stages]]", 1)
    config, batch = parse_config(source), as_batch(documents())
    features = config.feature_set().prepare(batch)
    files = directory.with_name("files")
    (files / "lambdamart").mkdir(parents=True)
    learned = rank_benchmark.booster(features.compute(batch).values, features.names)
    learned.save_model(files / "lambdamart" / "model.txt", num_iteration=trees)
    if model:
        (files / "cross_encoder").symlink_to(model, target_is_directory=True)
    golden = batch.take(np.arange(4))
    write_bundle(
        directory, Draft("default", config, features, files, golden), datetime(2026, 1, 1, tzinfo=UTC)
    )
    return directory


def numbers() -> str:
    """Features that are columns as they are."""
    return "".join(
        f'\n[[features]]\nkind = "numeric"\nname = "n{column}"\nfield = "n{column}"\n'
        for column in range(rank_benchmark.NUMBERS)
    )


def mall(root: Path, bundle: Path, tenants: Sequence[str]) -> Path:
    """A store in which every tenant has the bundle under a digest of its own: a booster that differs in a
    note.

    All other files are hard links, since ten thousand copies would be a benchmark of the disk.
    """
    root.mkdir()
    for tenant in tenants:
        install(root, bundle, tenant)
    return root


def install(root: Path, bundle: Path, tenant: str, mark: str = "") -> str:
    """A variant of a bundle, promoted."""
    manifest = msgspec.json.decode((bundle / MANIFEST).read_bytes(), type=Manifest)
    content: dict[str, bytes] = {}
    files = dict(manifest.files)
    for path in files:
        if path.endswith("model.txt"):
            content[path] = (
                (bundle / path).read_bytes().replace(NOTHING, f'{NOTE}["{tenant}-{mark}"]'.encode())
            )
            files[path] = FileEntry(hashlib.sha256(content[path]).hexdigest(), len(content[path]))
    changed = msgspec.structs.replace(manifest, cascade=f"{tenant}-{mark}", files=files)
    content[MANIFEST] = msgspec.json.encode(changed)
    version = hashlib.sha256(content[MANIFEST]).hexdigest()[:16]
    home = root / tenant / "default"
    for path in (*files, MANIFEST):
        target = home / VERSIONS / version / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path in content:
            target.write_bytes(content[path])
        else:
            os.link(bundle / path, target)
    (home / PROMOTED).write_bytes(msgspec.json.encode(Promotion(version)))
    announce(root, tenant, "default")
    return version


def percentile(values: Sequence[float], which: int) -> float:
    """A percentile."""
    return float(np.percentile(values, which))
