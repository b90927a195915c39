"""The `cross_encoder` stage: a small transformer reads the query together with each candidate's text.

The model is a packed int8 graph (`training/export`), run in micro-batches of tokens. Candidates come best
first and are scored a window at a time, so that what is done when time runs out is the best part; between
two micro-batches (some milliseconds) the deadline is looked at.

Passage re-ranking with a cross-encoder: Nogueira and Cho 2019, "Passage Re-ranking with BERT".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np

from cascade.deadline import Deadline
from cascade.stage import StageResult, StageSpec
from cascade.stages.cross_encoding.template import parse_template, render
from features.batch import CandidateBatch
from features.columns import Floats, Input, Kind, Rows
from features.errors import NotReady
from features.matrix import FeatureMatrix
from features.transformer.model import MODEL, TOKENIZER, Notes, read_notes
from features.transformer.packed import INPUTS, Pair, feed, micro_batches
from features.transformer.session import SESSIONS, Sessions
from features.transformer.tokens import SPECIAL, Pairing, TokenCache
from features.transformer.wordpiece import WordPieces

EMBEDDED = "embedded"
WINDOW = 32
"""Candidates regrouped by length at a time while a deadline runs; all of them where there is none."""
UNHURRIED = 2048
NO_TEXT = "no text"
NO_SCORE = "the model gave no finite score"

Positive = Annotated[int, msgspec.Meta(ge=1)]


class CrossEncoderTraining(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the model is fine-tuned; with no epochs the weights are used as they are.

    Attributes:
        epochs: passes over the queries, such as 0.5 or 2.
        learning_rate: at its peak, after a short warm-up.
        positives: relevant candidates of a query's list.
        negatives: other candidates for each of them, rather those that the stage before ranked high.
        step_tokens: tokens that one step of the optimiser reads.
        folds: parts of the queries; each part is scored by a model that has not seen it.
        seed: of drawing and shuffling.
    """

    epochs: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    learning_rate: Annotated[float, msgspec.Meta(gt=0)] = 5e-5
    positives: Positive = 2
    negatives: Positive = 4
    step_tokens: Positive = 3_000
    folds: Annotated[int, msgspec.Meta(ge=2)] = 2
    seed: int = 7


class CrossEncoder(StageSpec, frozen=True, kw_only=True):
    """A cross-encoder over text fields.

    Attributes:
        fields: the text columns that make the document.
        template: how, such as `"{title}. {body}"`; without one, those that are there joined with ". ".
        max_tokens: of query and document together, special tokens included; more is cut and reported.
        query_tokens: what the query keeps of them beside a long document.
        batch_tokens: of a micro-batch; between 192 and 768 fits processor caches.
        cache_mb: for the tokens of documents, by content.
        weights: where training starts: `embedded`, or the directory of a checkpoint.
        train: how training goes on from there.
    """

    kind: ClassVar[str] = "cross_encoder"
    tolerance: ClassVar[float] = 0.02
    """Of another machine: its sums round differently, and a value may fall on the next int8 step. On one
    machine calibrated int8 gives the same bits in any batch."""

    fields: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("title", "body")
    template: str = ""
    max_tokens: Annotated[int, msgspec.Meta(ge=8, le=4096)] = 256
    query_tokens: Positive = 64
    batch_tokens: Positive = 512
    cache_mb: Annotated[int, msgspec.Meta(ge=0)] = 64
    weights: str = EMBEDDED
    train: CrossEncoderTraining = CrossEncoderTraining()

    def __post_init__(self) -> None:
        if self.template:
            parse_template(self.template, self.fields)
        if self.query_tokens >= self.max_tokens - SPECIAL:
            raise ValueError(f"query_tokens must leave more than {SPECIAL} of max_tokens for the document")

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Its text fields."""
        return tuple(Input(name, Kind.TEXT) for name in self.fields)

    def documents(self, batch: CandidateBatch) -> list[str]:
        """The text that the model reads of every candidate; empty where there is none."""
        parts = parse_template(self.template, self.fields) if self.template else ()
        columns = [batch.column(name, Kind.TEXT).values for name in self.fields]
        return [render(parts, self.fields, values) for values in zip(*columns, strict=True)]

    def load(self, directory: Path, features: tuple[str, ...]) -> "LoadedCrossEncoder":  # noqa: ARG002
        """The stage from model.onnx, tokenizer.json and model.json in `directory`.

        Raises:
            NotReady: if a file is missing or does not fit the others.
            Corrupt: if model.onnx is not the one that model.json was written for.
        """
        return load_cross_encoder(self, directory, SESSIONS)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedCrossEncoder:
    """A cross-encoder that is ready. With calibrated int8 (`notes.independent`) a pair's score is the same
    to the bit in any company; otherwise it is within the deviation that `notes.parity` states."""

    spec: CrossEncoder
    notes: Notes
    session: Any
    pairing: Pairing

    @property
    def reads(self) -> tuple[str, ...]:
        """No matrix column: it reads texts."""
        return ()

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Its text fields."""
        return self.spec.inputs

    def score(self, batch: CandidateBatch, matrix: FeatureMatrix, deadline: Deadline) -> StageResult:  # noqa: ARG002
        """Raw logits, `float32[n]`; NaN with an outcome for a candidate without text."""
        run = Run(self, batch, self.spec.documents(batch))
        for window in run.windows(WINDOW if deadline.at < inf else UNHURRIED):
            if deadline.expired or not run.score(window, deadline):
                run.late = True
                break
        return run.result()


@dataclass(slots=True, eq=False)
class Run:
    """One batch on its way through the model."""

    stage: LoadedCrossEncoder
    batch: CandidateBatch
    documents: list[str]
    scores: Floats = field(init=False)
    outcomes: dict[int, str] = field(default_factory=dict)
    late: bool = False
    tokens: int = 0
    cut: int = 0
    cut_queries: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.scores = np.full(len(self.batch), np.nan, np.float32)
        self.outcomes = {row: NO_TEXT for row, text in enumerate(self.documents) if not text}

    def windows(self, size: int) -> Iterator[Rows]:
        """Rows with text, best first, `size` at a time."""
        rows = np.array([row for row, text in enumerate(self.documents) if text], np.int64)
        return (rows[start : start + size] for start in range(0, len(rows), size))

    def score(self, rows: Rows, deadline: Deadline) -> bool:
        """Score these rows; False if the deadline passed before the last of them."""
        pairs = self.pairs(rows)
        rows, pairs = self.readable(rows, pairs)
        for some in micro_batches([len(pair) for pair in pairs], self.stage.spec.batch_tokens):
            if deadline.expired:
                return False
            chosen = [pairs[at] for at in some.tolist()]
            self.scores[rows[some]] = self.stage.session.run(["score"], feed(chosen))[0]
            self.tokens += sum(len(pair) for pair in chosen)
            self.drop_unusable(rows[some])
        return True

    def pairs(self, rows: Rows) -> list[Pair]:
        """The pairs of some rows, each with the query that it belongs to."""
        owners = self.batch.query_of_row[rows]
        pairs: list[Pair] = []
        for query in np.unique(owners).tolist():
            texts = [self.documents[row] for row in rows[owners == query].tolist()]
            made, cut, short = self.stage.pairing.pairs(self.batch.queries[query].text, texts)
            pairs += made
            self.cut += cut
            self.cut_queries |= {query} if short else set()
        return pairs

    def readable(self, rows: Rows, pairs: list[Pair]) -> tuple[Rows, list[Pair]]:
        """Those whose document has a token at all; control characters have none."""
        empty = np.array([pair.second + 1 == len(pair) for pair in pairs], bool)
        self.outcomes.update(dict.fromkeys(rows[empty].tolist(), NO_TEXT))
        return rows[~empty], [pair for pair, none in zip(pairs, empty.tolist(), strict=True) if not none]

    def drop_unusable(self, rows: Rows) -> None:
        """NaN and an outcome where the model gave no finite number."""
        bad = rows[~np.isfinite(self.scores[rows])]
        self.scores[bad] = np.nan
        self.outcomes.update(dict.fromkeys(bad.tolist(), NO_SCORE))

    def result(self) -> StageResult:
        """What came of it."""
        return StageResult(self.scores, self.outcomes, self.late, tuple(self.warnings()), self.tokens)

    def warnings(self) -> Iterator[str]:
        """What was cut."""
        spec = self.stage.spec
        if self.cut:
            yield f"{count(self.cut, 'text')} truncated to {spec.max_tokens} tokens with the query"
        if self.cut_queries:
            queries = count(len(self.cut_queries), "query", "queries")
            yield f"{queries} truncated to {spec.query_tokens} tokens"


def count(n: int, one: str, many: str = "") -> str:
    """A number of things in words."""
    return f"1 {one}" if n == 1 else f"{n} {many or one + 's'}"


def load_cross_encoder(spec: CrossEncoder, directory: Path, sessions: Sessions) -> LoadedCrossEncoder:
    """The stage from a model directory.

    Raises:
        NotReady: if a file is missing or does not fit the others.
        Corrupt: if model.onnx is not the one that model.json was written for.
    """
    notes = read_notes(directory)
    if spec.max_tokens > notes.max_tokens:
        raise NotReady(
            f"is {spec.max_tokens} where the model reads at most {notes.max_tokens}", path="max_tokens"
        )
    tokenizer = directory / TOKENIZER
    if not tokenizer.is_file():
        raise NotReady(f"has no {TOKENIZER}; run `sluice train`", path=str(directory))
    session = sessions.load(directory / MODEL, notes.digest)
    check_inputs([value.name for value in session.get_inputs()])
    pieces = WordPieces.load(tokenizer)
    cache = TokenCache(spec.cache_mb * 1_000_000)
    pairing = Pairing(pieces, notes.first, notes.last, spec.max_tokens, spec.query_tokens, cache)
    return LoadedCrossEncoder(spec, notes, session, pairing)


def check_inputs(names: Sequence[str]) -> None:
    """Refuse a graph that is not packed."""
    if set(names) != set(INPUTS):
        raise NotReady(f"takes {', '.join(names)} where {', '.join(INPUTS)} is meant", path=MODEL)
