"""One batch on its way through a cross-encoder: candidates to pairs of tokens, values to scores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog

from cascade.stage import Span, StageResult
from features.batch import CandidateBatch
from features.columns import Floats, Rows
from features.transformer.packed import Pair
from features.transformer.passages import Passages, pooled
from features.transformer.ticket import Done
from features.transformer.tokens import CHARACTERS_A_TOKEN, Pairing, Text

log = structlog.get_logger()

WINDOW = 32
"""Candidates that are tokenised at a time."""
WINDOW_CHARACTERS = 1_000_000
"""Characters likewise: the scan takes some ten bytes a character for a moment."""
NO_TEXT = "no text"
NO_WORD = "no token that the model knows"
NO_SCORE = "the model gave no finite score"
FAILED = "the model failed on this text"


@dataclass(slots=True, eq=False)
class Run:
    """One batch.

    Attributes:
        pairing: makes pairs.
        passages: how long documents are read; None = their beginning.
        batch, documents: the candidates, and the text that is read of each.
        outcomes: row → why it has no score.
        owners, spans: the row and the span of tokens of every pair that was made, in order.
        cut, cut_queries: rows and queries that were truncated.
    """

    pairing: Pairing
    passages: Passages | None
    batch: CandidateBatch
    documents: list[str]
    outcomes: dict[int, str] = field(default_factory=dict)
    owners: list[int] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    cut: int = 0
    cut_queries: set[int] = field(default_factory=set)

    def windows(self) -> Iterator[list[Pair]]:
        """The pairs of every readable candidate, best first, some candidates at a time."""
        self.outcomes |= {row: NO_TEXT for row, text in enumerate(self.documents) if not text}
        return (self.pairs(rows) for rows in self.portions())

    def portions(self) -> Iterator[list[int]]:
        """Rows with text, as many as are tokenised at a time."""
        bound = self.pairing.reads * CHARACTERS_A_TOKEN
        rows: list[int] = []
        characters = 0
        for row, text in enumerate(self.documents):
            if text:
                rows.append(row)
                characters += min(len(text), bound)
            if len(rows) == WINDOW or characters >= WINDOW_CHARACTERS:
                yield rows
                rows, characters = [], 0
        if rows:
            yield rows

    def pairs(self, rows: Sequence[int]) -> list[Pair]:
        """The pairs of some rows, each with the query that it belongs to."""
        owners = self.batch.query_of_row[list(rows)].tolist()
        queries = sorted(set(owners))
        asked = self.pairing.encode([self.batch.queries[query].text for query in queries])
        by_query = dict(zip(queries, asked, strict=True))
        texts = self.pairing.texts([self.documents[row] for row in rows])
        return [
            pair
            for row, query, text in zip(rows, owners, texts, strict=True)
            for pair in self.laid(row, query, by_query[query], text)
        ]

    def laid(self, row: int, query: int, asked: Text, text: Text) -> Iterator[Pair]:
        """The pairs of one row: one, or one a passage; none if there is nothing to read."""
        if not len(text.ids) or not self.pairing.knows(text):
            self.outcomes[row] = NO_WORD if len(text.ids) else NO_TEXT
            return
        length, cut = len(text.ids), text.cut
        for start, end in self.passages.spans(length) if self.passages else [(0, length)]:
            pair, shorter, short = self.pairing.pair(asked, Text(text.ids[start:end], False))
            cut |= shorter
            self.cut_queries |= {query} if short else set()
            self.owners.append(row)
            self.spans.append((start, end))
            yield pair
        self.cut += cut

    def result(self, done: Done) -> StageResult:
        """The scores, with what is to be told of them."""
        owners, finite = np.array(self.owners, np.int64), np.isfinite(done.values)
        read = done.positions[finite]
        pool = self.passages.pool if self.passages else "first"
        rows, values, best = pooled(done.values[finite], owners[read], pool)
        scores = np.full(len(self.batch), np.nan, np.float32)
        scores[rows] = values
        self.outcomes |= gaps(scores, owners, done)
        partly = int((~np.isnan(scores) & (unread(owners, done, len(scores)) > 0)).sum())
        unscored = int(np.isnan(scores).sum()) - len(self.outcomes)
        told = tuple(self.warnings(partly))
        late = done.late and partly + unscored > 0
        found = {row: self.spans[at] for row, at in zip(rows.tolist(), read[best].tolist(), strict=True)}
        shown = found if self.passages else {}
        return StageResult(scores, self.outcomes, late, told, done.tokens, done.queue_s, shown)

    def warnings(self, partly: int) -> Iterator[str]:
        """What was cut, and what was not read to its end."""
        if self.cut and self.passages:
            yield f"{count(self.cut, 'text')} truncated to {self.passages.reads} tokens"
        elif self.cut:
            yield f"{count(self.cut, 'text')} truncated to {self.pairing.max_tokens} tokens with the query"
        if self.cut_queries:
            queries = count(len(self.cut_queries), "query", "queries")
            yield f"{queries} truncated to {self.pairing.query_tokens} tokens"
        if partly:
            yield f"{count(partly, 'text')} scored by those passages alone that were read in time"


def gaps(scores: Floats, owners: Rows, done: Done) -> dict[int, str]:
    """Why rows have no score that were read."""
    reasons = dict.fromkeys(owners[done.positions].tolist(), NO_SCORE)
    if done.failed:
        log.warning("pairs_failed", pairs=len(done.failed), error=repr(next(iter(done.failed.values()))))
        reasons |= dict.fromkeys(owners[list(done.failed)].tolist(), FAILED)
    return {row: why for row, why in reasons.items() if np.isnan(scores[row])}


def unread(owners: Rows, done: Done, count: int) -> Rows:
    """int64[count]: pairs of each row that were made and not run."""
    ran = np.concatenate([done.positions, np.array(list(done.failed), np.int64)])
    made: Rows = np.bincount(owners, minlength=count)
    return made - np.bincount(owners[ran], minlength=count)


def count(n: int, one: str, many: str = "") -> str:
    """A number of things in words."""
    return f"1 {one}" if n == 1 else f"{n} {many or one + 's'}"
