"""The cross-encoder stage, from texts to scores, beside sentence-transformers on the same weights and pairs.

A model of MiniLM-L6's shape with random weights (speed does not depend on them) is written as a checkpoint
and exported; both read the same 100 pairs on all cores, taking turns. The stage's cache of tokens is off.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from benchmarks.harness import Row, interleaved
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
AGAINST = "sentence-transformers"
MAX_TOKENS = 512
SHAPES = {"L6-H384": {"layers": 6, "hidden": 384, "heads": 12}}
QUERY_AND_SPECIAL = 8
LENGTHS = {"passages": (60, 0.6), "titles": (28, 0.25)}
"""Median tokens of a pair, and the deviation of their logarithm."""

Ranked = tuple[str, list[str]]


def run() -> Iterator[Row]:
    """A row a shape and kind of text."""
    random = np.random.default_rng(SEED)
    words = made_words(VOCABULARY, random)
    for shape, sizes in SHAPES.items():
        with TemporaryDirectory() as folder:
            checkpoint = outlying(random_checkpoint(wordpiece(words), positions=MAX_TOKENS, **sizes))
            bench = Bench(checkpoint, Path(folder))
            for kind in LENGTHS:
                yield bench.row(f"{shape} {kind}", [lists(words, kind, random) for _ in range(ROUNDS)])


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
    """Both contestants on one checkpoint."""

    def __init__(self, checkpoint: Checkpoint, folder: Path) -> None:
        pairs = made_pairs(made_words(50, np.random.default_rng(0)), 4, 4, np.random.default_rng(1), 40)
        export(checkpoint, folder / "stage", pairs, variants=["int8"], gate=Gate(tau=-1, top_10=0))
        spec = CrossEncoder(name="ce", fields=("body",), max_tokens=MAX_TOKENS, cache_mb=0)
        self.stage = spec.load(folder / "stage", ())
        self.theirs = sentence_transformer(checkpoint, folder / "checkpoint")

    def row(self, case: str, inputs: list[Ranked]) -> Row:
        """Pairs a second of the stage, and how many times theirs that is."""
        seconds = interleaved({"stage": self.ours, AGAINST: self.their_scores}, inputs)
        ratio = seconds[AGAINST] / seconds["stage"]
        return Row(case, "pairs/s", CANDIDATES / seconds["stage"], "1/s", AGAINST, ratio)

    def ours(self, asked: Ranked) -> object:
        """The stage's scores."""
        query, bodies = asked
        batch = single(Query(query), [str(row) for row in range(len(bodies))], {"body": text(bodies)})
        matrix = FeatureMatrix(np.empty((len(batch), 0), np.float32), (), batch.offsets, "")
        return self.stage.score(batch, matrix, NEVER).scores

    def their_scores(self, asked: Ranked) -> object:
        """sentence-transformers' scores."""
        query, bodies = asked
        return self.theirs.predict([(query, body) for body in bodies], show_progress_bar=False)


def sentence_transformer(checkpoint: Checkpoint, folder: Path) -> Any:
    """sentence-transformers' CrossEncoder with its defaults."""
    from sentence_transformers import CrossEncoder as Theirs
    from tokenizers import Tokenizer
    from tokenizers.processors import BertProcessing
    from transformers import PreTrainedTokenizerFast

    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(dict(checkpoint.config)))
    save_file(dict(checkpoint.tensors), folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer = Tokenizer.from_str(checkpoint.tokenizer)
    ends = [(token, int(tokenizer.token_to_id(token) or 0)) for token in ("[SEP]", "[CLS]")]
    tokenizer.post_processor = BertProcessing(ends[0], ends[1])
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        model_max_length=MAX_TOKENS,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(folder)
    return Theirs(str(folder), device="cpu")
