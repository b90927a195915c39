"""One batch on its way through a sentence encoder: texts to vectors, vectors to scores."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cascade.deadline import Deadline
from cascade.stage import StageResult
from cascade.stages.cross_encoding.run import count
from features.batch import CandidateBatch
from features.columns import Floats, Kind, Rows
from features.errors import InvalidInput
from features.transformer.encoding import Encoded
from features.vectors import cosines, dots

if TYPE_CHECKING:
    from cascade.stages.bi_encoder import LoadedBiEncoder

CHUNK = 20_000
"""Candidates whose vectors are in memory together."""
NO_TEXT = "no text"
NO_VECTOR = "no vector"
NO_SCORE = "the model gave no finite vector"
NO_QUERY = "the query has no text"


@dataclass(slots=True, eq=False)
class Run:
    """One batch on its way: queries first, then documents."""

    stage: "LoadedBiEncoder"
    batch: CandidateBatch
    outcomes: dict[int, str] = field(default_factory=dict)
    late: bool = False
    tokens: int = 0
    queue_s: float = 0.0
    cut: int = 0
    cut_queries: int = 0
    scores: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.scores = np.full(len(self.batch), np.nan, np.float32)

    def read(self, deadline: Deadline) -> bool:
        """Score every row; False if the deadline passed before the last of them."""
        spec = self.stage.spec
        texts = [query.text for query in self.batch.queries]
        asked = self.stage.encoder.encoded(texts, spec.query_prefix, limit=deadline)
        self.add(asked)
        self.cut_queries = int(asked.cut.sum())
        if asked.late:
            return False
        if spec.vectors:
            rows = np.arange(len(self.batch))
            self.place(rows, self.sent(), asked.vectors, dict.fromkeys(rows.tolist(), NO_VECTOR))
            return True
        texts = spec.documents(self.batch)
        return all(self.part(start, texts, asked.vectors, deadline) for start in range(0, len(texts), CHUNK))

    def sent(self) -> Floats:
        """float32[n, d]: the candidates' own vectors.

        Raises:
            InvalidInput: if they are of another dimension than the query's.
        """
        name, dimension = self.stage.spec.vectors, self.stage.encoder.dimension
        rows: Floats = self.batch.column(name, Kind.VECTOR).values
        if not rows.shape[1]:
            return np.full((len(rows), dimension), np.nan, np.float32)
        if rows.shape[1] != dimension:
            message = f"has {rows.shape[1]} dimensions, and the encoder's vectors have {dimension}"
            raise InvalidInput(message, path=f"columns.{name}")
        return np.ascontiguousarray(rows)

    def part(self, start: int, texts: list[str], queries: Floats, deadline: Deadline) -> bool:
        """Score some thousand rows; False if the deadline passed before the last of them."""
        spec, stage = self.stage.spec, self.stage
        made = stage.encoder.encoded(
            texts[start : start + CHUNK], spec.document_prefix, stage.table, deadline
        )
        self.add(made)
        self.cut += int(made.cut.sum())
        self.by_id(start, made)
        done = np.flatnonzero(made.done)
        why = {start + row: NO_TEXT if made.wordless[row] else NO_SCORE for row in done.tolist()}
        self.place(start + done, made.vectors[done], queries, why)
        return not made.late

    def add(self, made: Encoded) -> None:
        """What the model was asked for."""
        self.tokens += made.tokens
        self.queue_s += made.queue_s

    def by_id(self, start: int, made: Encoded) -> None:
        """Vectors of known documents that were sent without any text."""
        bare = np.array([row for row, text in enumerate(made.texts) if not text], np.int64)
        if self.stage.table is not None and len(bare):
            there, found = self.stage.table.find_ids([self.batch.ids[start + row] for row in bare.tolist()])
            made.vectors[bare[there]] = found

    def place(self, rows: Rows, vectors: Floats, queries: Floats, why: dict[int, str]) -> None:
        """Scores of some rows; `why` says of each what it means that it has none."""
        owners = self.batch.query_of_row[rows]
        made = np.empty(len(rows), np.float32)
        compare = cosines if self.stage.spec.similarity == "cosine" else dots
        compare(np.ascontiguousarray(vectors), queries, owners, made)
        made[~np.isfinite(made)] = np.nan
        self.scores[rows] = made
        for at in np.flatnonzero(np.isnan(made)).tolist():
            mute = bool(np.isnan(queries[owners[at]]).any())
            self.outcomes[int(rows[at])] = NO_QUERY if mute else why[int(rows[at])]

    def result(self) -> StageResult:
        """What came of it."""
        told = tuple(self.warnings())
        return StageResult(self.scores, self.outcomes, self.late, told, self.tokens, self.queue_s)

    def warnings(self) -> Iterator[str]:
        """What was cut."""
        limit = self.stage.encoder.reading.max_tokens
        if self.cut:
            yield f"{count(self.cut, 'text')} truncated to {limit} tokens"
        if self.cut_queries:
            yield f"{count(self.cut_queries, 'query', 'queries')} truncated to {limit} tokens"
