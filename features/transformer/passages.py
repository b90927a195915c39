"""Long documents as passages: even windows of tokens that overlap, and one score out of theirs.

FirstP, MaxP and AvgP: Dai and Callan 2019, "Deeper Text Understanding for IR with Contextual Neural Language
Modeling".
"""

import re
from typing import Annotated, Literal

import msgspec
import numpy as np
from tokenizers import Tokenizer

from features.columns import Floats, Rows

Positive = Annotated[int, msgspec.Meta(ge=1)]
Span = tuple[int, int]
"""The first token of a passage, and the one behind its last."""

SURROGATES = re.compile("[\ud800-\udfff]")


class Passages(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a document that is longer than a passage is read.

    Attributes:
        tokens: of a passage.
        overlap: that a passage shares at least with the one before it.
        document_tokens: of a document that are read; more is cut and reported.
        pool: the document's score is the best of its passages' (`max`), their mean (`mean`), or that of the
            first one, the only one which is read then (`first`).
    """

    tokens: Positive = 160
    overlap: Annotated[int, msgspec.Meta(ge=0)] = 32
    document_tokens: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 4_096
    pool: Literal["max", "mean", "first"] = "max"

    def __post_init__(self) -> None:
        if self.overlap >= self.tokens:
            raise ValueError("overlap must be less than tokens")
        if self.document_tokens < self.tokens:
            raise ValueError("document_tokens must not be less than tokens")

    @property
    def reads(self) -> int:
        """Tokens of a document that are ever looked at."""
        return self.tokens if self.pool == "first" else self.document_tokens

    def spans(self, length: int) -> list[Span]:
        """The passages of a document of so many tokens, at least one: as few as the overlap allows, of
        `tokens` each, evenly laid from the first token to the last that is read."""
        length = min(length, self.reads)
        if length <= self.tokens:
            return [(0, length)]
        count = -(-(length - self.overlap) // (self.tokens - self.overlap))
        starts = [step * (length - self.tokens) // (count - 1) for step in range(count)]
        return [(start, start + self.tokens) for start in starts]


def pooled(scores: Floats, owners: Rows, pool: str) -> tuple[Rows, Floats, Rows]:
    """One score a document out of its passages'.

    Args:
        scores: float32[m], finite.
        owners: int64[m]: the document of each passage, ascending.
        pool: as in `Passages`.

    Returns:
        documents: int64[k], those that have a passage.
        pooled: float32[k].
        best: int64[k]: the passage of each with the highest score, the first of equal ones.
    """
    documents, starts = np.unique(owners, return_index=True)
    if not len(documents):
        return documents, np.empty(0, np.float32), starts
    ends = [*starts[1:].tolist(), len(owners)]
    best = np.array([a + int(np.argmax(scores[a:b])) for a, b in zip(starts.tolist(), ends, strict=True)])
    if pool != "mean":
        return documents, scores[best], best
    sums = np.add.reduceat(scores.astype(np.float64), starts)
    return documents, (sums / np.diff([*starts, len(owners)])).astype(np.float32), best


def characters(tokenizer: Tokenizer, text: str, span: Span) -> Span:
    """The characters [start, end) of a text that a span of its tokens covers.

    `text` may be any beginning of the document that has the tokens. Lone surrogates count as one character.
    """
    offsets = tokenizer.encode(SURROGATES.sub("�", text), add_special_tokens=False).offsets
    covered = offsets[span[0] : span[1]]
    return (covered[0][0], covered[-1][1]) if covered else (0, 0)
