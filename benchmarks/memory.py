"""Memory of the cross-encoder stage: at its peak, and after an hour's worth of traffic.

The peak is what resident memory grows by while one request's long candidates are scored: their micro-batches,
which are as many for ten as for ten thousand, and less than a kilobyte of bookkeeping a candidate. The hour's
worth is 3,600 requests of ever other shapes, one behind the other, after as many as fill the cache of tokens;
steady means that the last half adds nothing. The model is of L2-H128's shape with random weights; of the
embedded one (L6-H384) the peak alone is measured, on fewer candidates.
"""

import ctypes
import gc
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.random import Generator

from benchmarks.harness import Row, peak_growth_mib, resident_mib
from cascade.deadline import Deadline
from cascade.stages.cross_encoder import CrossEncoder, LoadedCrossEncoder
from cascade.stages.embedded import embedded_model
from cascade.testing import no_features
from features.batch import Query, single
from features.columns import text
from training.export import Gate, export
from training.export.testing import made_pairs, made_words, random_checkpoint, wordpiece

SHORT = True
SEED = 3
LONG_WORDS = 400
COUNTS = (1_000, 10_000)
EMBEDDED_COUNTS = (30, 300)
REQUESTS, MOST_CANDIDATES = 3_600, 40
WARM = 600
CACHE_MB = 4


def run() -> Iterator[Row]:
    """Peaks by the number of candidates, then traffic."""
    random = np.random.default_rng(SEED)
    words = made_words(5_000, random)
    with TemporaryDirectory() as folder:
        checkpoint = random_checkpoint(wordpiece(words), layers=2, hidden=128, heads=2, positions=256)
        pairs = made_pairs(words, 4, 4, np.random.default_rng(1), 40)
        export(checkpoint, Path(folder) / "stage", pairs, variants=["int8"], gate=Gate(tau=-1, top_10=0))
        stage = load(Path(folder) / "stage")
        yield from peaks("L2-H128", stage, words, COUNTS, random)
        yield from traffic("L2-H128", stage, words, random)
    yield from peaks("embedded, L6-H384", load(embedded_model()), words, EMBEDDED_COUNTS, random)


def load(directory: Path) -> LoadedCrossEncoder:
    """The stage, with a cache that traffic fills soon."""
    return CrossEncoder(name="ce", fields=("body",), max_tokens=256, cache_mb=CACHE_MB).load(directory, ())


def peaks(
    case: str, stage: LoadedCrossEncoder, words: Sequence[str], counts: tuple[int, int], random: Generator
) -> Iterator[Row]:
    """Peak growth for few long candidates and for many."""
    score(stage, bodies(words, 20, LONG_WORDS, random))
    few, many = (bodies(words, count, LONG_WORDS, random) for count in counts)
    less = peak_growth_mib(lambda: score(stage, few))
    more = peak_growth_mib(lambda: score(stage, many))
    yield Row(case, f"peak growth, {len(few):,} candidates of 256 tokens", less, "MiB")
    yield Row(
        case, f"peak growth, {len(many):,}", more, "MiB", f"{len(few):,}", less / more if more else None
    )


def traffic(case: str, stage: LoadedCrossEncoder, words: Sequence[str], random: Generator) -> Iterator[Row]:
    """Resident memory after requests of ever other shapes."""
    for _ in range(WARM):
        request(stage, words, random)
    marks = [settled_mib()]
    for _ in range(2):
        for _ in range(REQUESTS // 2):
            request(stage, words, random)
        marks.append(settled_mib())
    yield Row(case, f"resident after {WARM:,} requests", marks[0], "MiB")
    yield Row(case, f"growth over the next {REQUESTS // 2:,}", marks[1] - marks[0], "MiB")
    yield Row(case, f"growth over the {REQUESTS // 2:,} after those", marks[2] - marks[1], "MiB")


def settled_mib() -> float:
    """Resident memory, without what Python and the allocator hold on to for no one."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return resident_mib()


def request(stage: LoadedCrossEncoder, words: Sequence[str], random: Generator) -> None:
    """One request: any number of candidates of any length."""
    count, asked = (int(random.integers(1, most)) for most in (MOST_CANDIDATES, 12))
    score(stage, bodies(words, count, float(np.exp(random.uniform(1, 4.5))), random), asked)


def bodies(words: Sequence[str], count: int, length: float, random: Generator) -> list[str]:
    """Texts of about `length` words."""
    lengths = (length * np.exp(random.normal(0, 0.4, count))).astype(int).clip(1)
    picks = random.integers(0, len(words), int(lengths.sum()))
    ends = np.cumsum(lengths)
    return [" ".join(words[at] for at in some) for some in np.split(picks, ends[:-1])]


def score(stage: LoadedCrossEncoder, some: Sequence[str], asked: int = 4) -> object:
    """The stage's scores, under a deadline as requests have one."""
    query = Query(" ".join(["quiet"] * asked))
    batch = single(query, list(map(str, range(len(some)))), {"body": text(some)})
    return stage.score(batch, no_features(batch), Deadline.after(3_600))
