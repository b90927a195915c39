"""The analysed texts of a batch's field: each text once, whatever the number of features that read it."""

from collections.abc import Sequence

import msgspec
import numpy as np

from features.batch import CandidateBatch
from features.columns import Kind, Rows
from features.text.analyzer import Analyzer
from features.text.cache import CACHE, ContentCache
from features.text.compiled import compiled
from features.text.kernels import Hashes, Offsets
from features.text.scan import Terms, fold, scan
from features.text.stems import stems

LONG = 2_000
"""Characters from which a text is held in the content cache.

Looking a text up means hashing its characters and copying its terms. Measured hit against fresh scan, in
microseconds: 1.3 against 0.6 at 400 characters, 1.9 against 2.6 at 2,200, 2.7 against 5.2 at 4,400, 28
against 86 at 74,000 (with stems 1.6 and 1.2, 2.3 and 5.2, 3.1 and 9.5, 28 and 128).
"""


class Documents(msgspec.Struct, frozen=True, eq=False):
    """The distinct texts of one field and the rows they stand in.

    Attributes:
        terms: of the distinct texts.
        of_row: int64[n], the row's text; -1 where it is missing.
    """

    terms: Terms
    of_row: Rows

    @property
    def spans(self) -> tuple[Rows, Rows]:
        """int64[n] twice: where each row's terms start, and their number; 0 and -1 for a missing text."""
        return spans(self.terms.offsets, self.of_row)


@compiled
def spans(offsets: Offsets, of_row: Rows) -> tuple[Rows, Rows]:
    """See `Documents.spans`."""
    starts, lengths = np.zeros(len(of_row), np.int64), np.full(len(of_row), -1, np.int64)
    for row in range(len(of_row)):
        text = of_row[row]
        if text >= 0:
            starts[row] = offsets[text]
            lengths[row] = offsets[text + 1] - offsets[text]
    return starts, lengths


def documents(batch: CandidateBatch, field: str, analyzer: Analyzer) -> Documents:
    """The analysed texts of a field, made once a batch."""
    key = ("text.documents", field, analyzer)
    found: Documents | None = batch.memo.get(key)
    if found is None:
        texts, of_row = distinct(batch.column(field, Kind.TEXT).values, len(batch.queries) > 1)
        found = batch.memo[key] = Documents(analyse(texts, analyzer), of_row)
    return found


def distinct(values: Sequence[str | None], repeated: bool) -> tuple[Sequence[str], Rows]:
    """The texts that are there, each once where texts are `repeated`, and which of them every row holds."""
    if repeated:
        index: dict[str | None, int] = {None: -1}
        rows = (index.setdefault(value, len(index) - 1) for value in values)
        of_row = np.fromiter(rows, np.int64, len(values))
        return [text for text in index if text is not None], of_row
    texts = [value for value in values if value is not None]
    if len(texts) == len(values):
        return texts, np.arange(len(values))
    present = np.array([value is not None for value in values])
    return texts, np.where(present, np.cumsum(present) - 1, -1)


def analyse(texts: Sequence[str], analyzer: Analyzer, cache: ContentCache = CACHE) -> Terms:
    """The terms of texts; long ones are looked up by content first."""
    if not texts or max(map(len, texts)) < LONG:
        return fresh(texts, analyzer)
    pieces = [cache.get(analyzer, text) if len(text) >= LONG else None for text in texts]
    wanted = [i for i, piece in enumerate(pieces) if piece is None]
    made = fresh([texts[i] for i in wanted], analyzer)
    for position, i in enumerate(wanted):
        piece = pieces[i] = made.hashes[made.offsets[position] : made.offsets[position + 1]]
        if len(texts[i]) >= LONG:
            cache.put(analyzer, texts[i], piece)
    return joined([piece for piece in pieces if piece is not None])


def fresh(texts: Sequence[str], analyzer: Analyzer) -> Terms:
    """The terms of texts, analysed now."""
    if analyzer.stem or analyzer.stop_words:
        return stems(analyzer).apply(fold(texts))
    return scan(texts)


def joined(pieces: Sequence[Hashes]) -> Terms:
    """Term lists one after the other."""
    offsets = np.zeros(len(pieces) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, pieces), np.int64, len(pieces)), out=offsets[1:])
    return Terms(np.concatenate(pieces), offsets)
