"""The cross-encoder stage, from texts to scores, beside others on the same weights and pairs.

Models of four shapes with random weights (speed does not depend on them) are written as checkpoints and
exported; all contestants read the same 100 pairs on all cores that the process may use, taking turns, and
texts differ from round to round, with the stage's cache of tokens off. Sluice's pairs a second stand in every
row; `ratio` says how many times the other's that is. Against `int8-peak` it is the share of the processor's
measured 8-bit pace that goes into useful operations (`benchmarks/peers/int8.py`).

`sentence-transformers` has its defaults; `sentence-transformers-onnx-int8` is its `predict` over an int8
session of onnxruntime; `onnxruntime-int8-sorted` is the same session in 32-pair batches sorted by length.

Options: `--case TEXT` (only cases whose name holds it; may be repeated), `--cpu-time` (seconds of the
process's threads rather than of the clock: for one core that others use too).
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import numpy as np

from benchmarks.harness import Row, interleaved
from benchmarks.peers.int8 import Peak, useful_operations
from cascade.deadline import NEVER
from cascade.stages.cross_encoder import CrossEncoder
from features.batch import Query, single
from features.columns import text
from features.matrix import FeatureMatrix
from training.export import Checkpoint, Gate, export
from training.export.testing import made_pairs, made_words, random_checkpoint, wordpiece

SHORT = True
SEED = 11
CANDIDATES = 100
ROUNDS = 6
VOCABULARY = 30_000
MAX_TOKENS = 512
SHAPES = {
    "L2-H128": {"layers": 2, "hidden": 128, "heads": 2},
    "L4-H312": {"layers": 4, "hidden": 312, "heads": 12},
    "L6-H384": {"layers": 6, "hidden": 384, "heads": 12},
    "L12-H384": {"layers": 12, "hidden": 384, "heads": 12},
}
QUERY_AND_SPECIAL = 8
LENGTHS = {"passages": (60, 0.6), "titles": (25, 0.25)}
"""Median tokens of a pair, and the deviation of their logarithm."""
OURS = "stage"
MEASURE = {"sentence-transformers-onnx-int8": "pairs/s (its predict over an onnxruntime session)"}
PEAK = "int8-peak"

Ranked = tuple[str, list[str]]
Contestant = Callable[[Ranked], object]


def run(arguments: Sequence[str] = ()) -> Iterator[Row]:
    """A row a shape, kind of text and peer."""
    asked = options(arguments)
    random = np.random.default_rng(SEED)
    words = made_words(VOCABULARY, random)
    clock = process_time if asked.cpu_time else perf_counter
    peak = Peak(clock)
    for shape, sizes in SHAPES.items():
        kinds = [kind for kind in LENGTHS if wanted(f"{shape} {kind}", asked.case)]
        if kinds:
            checkpoint = outlying(random_checkpoint(wordpiece(words), positions=MAX_TOKENS, **sizes))
            with TemporaryDirectory() as folder:
                bench = Bench(checkpoint, Path(folder), peak, clock)
                for kind in kinds:
                    yield from bench.rows(
                        f"{shape} {kind}", [lists(words, kind, random) for _ in range(ROUNDS)]
                    )


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser("python -m benchmarks cross_encoder")
    parser.add_argument("--case", action="append", default=[], metavar="TEXT", help="such as L6-H384")
    parser.add_argument("--cpu-time", action="store_true", help="seconds of threads, not of the clock")
    return parser.parse_args(list(arguments))


def wanted(case: str, asked: Sequence[str]) -> bool:
    """Whether a case is among those asked for."""
    return not asked or any(part in case for part in asked)


def outlying(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with a few outlying columns a layer, as trained models have: int8 works harder then."""
    for name, value in checkpoint.tensors.items():
        if name.endswith("intermediate.dense.weight"):
            value[:8] *= 6
        if name.endswith("LayerNorm.weight"):
            value[:4] *= 8
    return checkpoint


def lists(words: Sequence[str], kind: str, random: np.random.Generator) -> Ranked:
    """One query with its candidates' texts."""
    median, deviation = LENGTHS[kind]
    asked, _ = made_pairs(words, 1, 1, random)[0]
    lengths = np.exp(random.normal(np.log(median), deviation, CANDIDATES)).astype(int) - QUERY_AND_SPECIAL
    lengths = lengths.clip(2, MAX_TOKENS).tolist()
    return asked, [" ".join(words[at] for at in random.integers(0, len(words), size)) for size in lengths]


class Bench:
    """All contestants on one checkpoint."""

    def __init__(self, checkpoint: Checkpoint, folder: Path, peak: Peak, clock: Callable[[], float]) -> None:
        pairs = made_pairs(made_words(50, np.random.default_rng(0)), 4, 4, np.random.default_rng(1), 40)
        export(checkpoint, folder / "stage", pairs, variants=["int8"], gate=Gate(tau=-1, top_10=0))
        spec = CrossEncoder(name="ce", fields=("body",), max_tokens=MAX_TOKENS, cache_mb=0)
        self.stage = spec.load(folder / "stage", ())
        self.config, self.peak, self.clock = checkpoint.config, peak, clock
        self.contestants = {OURS: self.ours, **peers(checkpoint, folder / "checkpoint")}

    def rows(self, case: str, inputs: list[Ranked]) -> Iterator[Row]:
        """Pairs a second of the stage, and how many times each peer's that is."""
        self.peak.look()
        seconds = interleaved(self.contestants, inputs, self.clock)
        pace = CANDIDATES / seconds[OURS]
        for name, theirs in seconds.items():
            if name != OURS:
                yield Row(case, MEASURE.get(name, "pairs/s"), pace, "1/s", name, theirs / seconds[OURS])
        used = self.operations(inputs) / seconds[OURS]
        yield Row(case, "useful operations", used / 1e9, "GOP/s", PEAK, used / self.peak.look())

    def operations(self, inputs: Sequence[Ranked]) -> float:
        """Useful operations of a round, the median of those that count."""
        pairing = self.stage.pairing
        rounds = [pairing.pairs(query, bodies)[0] for query, bodies in inputs[1:]]
        return float(
            np.median([sum(useful_operations(self.config, len(p)) for p in some) for some in rounds])
        )

    def ours(self, asked: Ranked) -> object:
        """The stage's scores."""
        query, bodies = asked
        batch = single(Query(query), [str(row) for row in range(len(bodies))], {"body": text(bodies)})
        matrix = FeatureMatrix(np.empty((len(batch), 0), np.float32), (), batch.offsets, "")
        return self.stage.score(batch, matrix, NEVER).scores


def peers(checkpoint: Checkpoint, folder: Path) -> Mapping[str, Contestant]:
    """Those whose packages are there."""
    try:
        from benchmarks.peers import cross_encoders as others

        others.write_model(checkpoint, folder, MAX_TOKENS)
        torch = others.sentence_transformer(folder)
    except ImportError as error:
        print(f"cross_encoder: no peers to compare with: {error}", file=sys.stderr)
        return {}
    session = others.int8_session(folder)
    onnx = others.onnx_sentence_transformer(folder, session)
    return {
        "sentence-transformers": lambda asked: torch.predict(paired(asked), show_progress_bar=False),
        "sentence-transformers-onnx-int8": lambda asked: onnx.predict(paired(asked), show_progress_bar=False),
        "onnxruntime-int8-sorted": others.SortedBatches(folder, session, MAX_TOKENS).scores,
    }


def paired(asked: Ranked) -> list[tuple[str, str]]:
    """A (query, document) a candidate."""
    return [(asked[0], body) for body in asked[1]]
