"""`rank`: what a Rank call costs beyond its features and its model, and what a server costs at rest.

The overhead is the time that a client sees less the features' and the model's time that the answer reports;
it is set against an echo RPC that sends the same payload there and back. Server, echo and client are
processes of their own, and calls of both kinds alternate, because the machine is shared.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import numpy as np

from benchmarks.harness import Row, uncollected
from cascade.config import parse_config
from cascade.draft import Draft, write_bundle
from cascade.store import DirectoryStore
from features import columns
from features.batch import CandidateBatch, Query, single
from features.errors import NotReady
from serving.testing import READY, ready_line, serving_process
from sluice.request import Request, to_message
from sluice.v1 import ranking_pb2 as pb

CANDIDATES, NUMBERS, WORDS, TREES = 100, 20, 55, 300
ROUNDS, CALLS = 40, 25
RANK = "/sluice.v1.Ranking/Rank"
ECHO = "/benchmarks.Echo/Echo"
TENANT = "bench"

Call = Callable[[bytes], bytes]


SHORT = True


def run() -> list[Row]:
    """What a call costs, and what a server costs at rest."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        return [*overhead(lambdamart_store(root)), *at_rest(root)]


def overhead(store: Path) -> list[Row]:
    """Rank against echo, a call at a time and eight at once."""
    raw = to_message(Request(query="w3 w7 w11", candidates=documents()), TENANT).SerializeToString()
    case = f"{CANDIDATES} candidates, {len(raw) / 1024:.0f} KiB"
    with serving_process(store) as server, echo_process() as echo, ExitStack() as channels:
        rank = channels.enter_context(grpc.insecure_channel(server.target)).unary_unary(RANK, None, None)
        back = channels.enter_context(grpc.insecure_channel(echo)).unary_unary(ECHO, None, None)
        beyond, inside, echoes = alternate(rank, back, raw)
        ours, theirs = rate(rank, raw), rate(back, raw)
    return [
        Row(case, "features and model", median(inside), "ms"),
        *compared(case, "median", median(beyond), median(echoes)),
        *compared(case, "10th percentile", tenth(beyond), tenth(echoes)),
        Row(f"{case}, 8 at once", "Rank", ours, "calls/s", "echo", ours / theirs),
    ]


def compared(case: str, which: str, beyond: float, echo: float) -> Iterator[Row]:
    """What Rank costs beyond its features and its model, against an echo of the same payload."""
    yield Row(case, f"echo, {which}", echo, "ms")
    yield Row(case, f"Rank beyond features and model, {which}", beyond, "ms", "echo", echo / beyond)


def tenth(values: Sequence[float]) -> float:
    """The 10th percentile: the calls that other programs on the machine disturbed least."""
    return float(np.quantile(values, 0.1))


def alternate(rank: Call, back: Call, raw: bytes) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds of what Rank calls cost beyond, and of, their features and model, and of echoes."""
    timed(rank, raw, 200)
    timed(back, raw, 200)
    ranks: list[tuple[float, bytes]] = []
    echoes: list[tuple[float, bytes]] = []
    with uncollected():
        for _ in range(ROUNDS):
            ranks += timed(rank, raw, CALLS)
            echoes += timed(back, raw, CALLS)
    inside = [work_ms(answer) for _, answer in ranks]
    beyond = [ms - work for (ms, _), work in zip(ranks, inside, strict=True)]
    return beyond, inside, [ms for ms, _ in echoes]


def timed(call: Call, raw: bytes, calls: int) -> list[tuple[float, bytes]]:
    """Milliseconds and answer of each call."""
    made = []
    for _ in range(calls):
        start = time.perf_counter()
        answer = call(raw)
        made.append(((time.perf_counter() - start) * 1e3, answer))
    return made


def work_ms(answer: bytes) -> float:
    """What the stages report: features and inference."""
    stages = pb.RankResponse.FromString(answer).stages
    return sum(stage.features_ms + stage.inference_ms for stage in stages)


def rate(call: Call, raw: bytes, threads: int = 8, calls: int = 150) -> float:
    """Calls a second from several threads."""
    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        for done in [pool.submit(timed, call, raw, calls) for _ in range(threads)]:
            done.result()
        return threads * calls / (time.perf_counter() - start)


def at_rest(root: Path) -> list[Row]:
    """Memory of an idle server with the embedded models, and the time from its start until it is ready."""
    try:
        store = embedded_store(root)
    except NotReady:
        return []
    start = time.perf_counter()
    with serving_process(store) as server:
        ready_s = time.perf_counter() - start
        resident = resident_mb(server.child.pid)
    case = "embedded models"
    return [
        Row(case, "start until ready", ready_s, "s", against="10 s", ratio=10 / ready_s),
        Row(case, "resident at rest", resident, "MB", against="500 MB", ratio=500 / resident),
    ]


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    import psutil

    return float(psutil.Process(pid).memory_info().rss) / 1e6


def documents() -> list[dict[str, Any]]:
    """Candidates with a title, a text and numbers; made of words that Zipf's law deals."""
    rng = np.random.default_rng(7)
    numbers = rng.random((CANDIDATES, NUMBERS)).round(4).tolist()
    return [
        {
            "id": f"doc-{row}",
            "title": words(rng, 8),
            "body": words(rng, WORDS),
            **{f"n{column}": value for column, value in enumerate(numbers[row])},
        }
        for row in range(CANDIDATES)
    ]


def words(rng: np.random.Generator, count: int) -> str:
    """A text."""
    return " ".join(f"w{number}" for number in np.minimum(rng.zipf(1.3, count), 5_000))


CASCADE = """
[[features]]
kind = "bm25"
field = "title"

[[features]]
kind = "bm25"
field = "body"
"""


def lambdamart_store(root: Path) -> Path:
    """A store that serves features and LambdaMART: two text features, and the numbers as they are."""
    source = CASCADE + "".join(
        f'\n[[features]]\nkind = "numeric"\nname = "n{column}"\nfield = "n{column}"\n'
        for column in range(NUMBERS)
    )
    config = parse_config(source + '\n[[stages]]\nkind = "lambdamart"\n')
    batch = as_batch(documents())
    features = config.feature_set().prepare(batch)
    files = root / "files"
    (files / "lambdamart").mkdir(parents=True)
    booster(features.compute(batch).values, features.names).save_model(files / "lambdamart" / "model.txt")
    return publish(root / "lambdamart", Draft("default", config, features, files, batch))


def booster(values: Any, names: tuple[str, ...]) -> Any:
    """300 trees of 31 leaves; what they learn is of no interest."""
    import lightgbm

    rng = np.random.default_rng(7)
    rows = np.nan_to_num(values[rng.integers(0, len(values), 4_000)])
    rows = rows + rng.normal(0, 0.1, rows.shape).astype(np.float32)
    labels = (rows @ rng.normal(size=rows.shape[1]) + rng.normal(size=len(rows)) > 0).astype(int)
    data = lightgbm.Dataset(rows, labels, group=[100] * 40, feature_name=list(names))
    return lightgbm.train({"objective": "lambdarank", "verbose": -1, "num_threads": 1}, data, TREES)


def embedded_store(root: Path) -> Path:
    """A store that serves the embedded encoder and the embedded cross-encoder.

    Raises:
        NotReady: if this installation has none.
    """
    from cascade.stages.embedded import embedded_model

    config = parse_config(
        '[[features]]\nkind = "semantic"\nfield = "body"\n'
        '[[stages]]\nkind = "linear"\nkeep = 20\nweights = { body_semantic = 1.0 }\n'
        '[[stages]]\nkind = "cross_encoder"\nfields = ["title", "body"]\n'
    )
    batch = as_batch(documents()[:10])
    features = config.feature_set().prepare(batch)
    files = root / "embedded-files"
    files.mkdir()
    (files / "cross_encoder").symlink_to(embedded_model(), target_is_directory=True)
    return publish(root / "embedded", Draft("default", config, features, files, batch))


def as_batch(rows: list[dict[str, Any]]) -> CandidateBatch:
    """Documents as one query's candidates."""
    texts = {name: columns.text([row[name] for row in rows]) for name in ("title", "body")}
    numbers = {f"n{column}": columns.number([row[f"n{column}"] for row in rows]) for column in range(NUMBERS)}
    return single(Query("w3 w7 w11"), [row["id"] for row in rows], {**texts, **numbers})


def publish(root: Path, draft: Draft) -> Path:
    """A store in which the draft is promoted."""
    write_bundle(root / "bundle", draft, datetime(2026, 1, 1, tzinfo=UTC))
    store = DirectoryStore(root / "store")
    store.promote(TENANT, "default", store.publish(TENANT, "default", root / "bundle"))
    return store.root


@contextmanager
def echo_process() -> Iterator[str]:
    """The address of a server that sends requests back, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.rank", "echo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield ready_line(child)
        finally:
            child.kill()


def serve_echo() -> None:
    """Parse a request and send it back, under the same kind of server as Rank's."""
    handler = grpc.unary_unary_rpc_method_handler(
        lambda request, _: request,
        request_deserializer=pb.RankRequest.FromString,
        response_serializer=pb.RankRequest.SerializeToString,
    )
    server = grpc.server(ThreadPoolExecutor((os.cpu_count() or 1) + 64))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("benchmarks.Echo", {"Echo": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"{READY}127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__" and sys.argv[1:] == ["echo"]:
    serve_echo()
