"""What an impression has to hold so that what people do with it can be counted by field and vector.

Interactions name an item alone. The keywords and vectors of the shown items, as far as the ranker's profiles
want them, therefore travel with the impression: `Impression.context`, msgpack.
"""

from collections.abc import Iterable

import msgspec
import numpy as np

from features.batch import CandidateBatch
from features.behaviour import statistic_of
from features.columns import Column, Floats, Input, Kind, Rows
from features.keywords import fold
from features.vectors import to_unit_length


class Context(msgspec.Struct, frozen=True):
    """Along the shown items.

    Attributes:
        keywords: field → each item's keywords, case-folded, each once.
        vectors: column → little-endian float16 unit vectors, row-major, d elements for each item; NaN = none.
    """

    keywords: dict[str, tuple[tuple[str, ...], ...]] = {}
    vectors: dict[str, bytes] = {}

    def values(self, row: int) -> dict[str, tuple[str, ...]]:
        """Field → the keywords of one item."""
        return {field: rows[row] for field, rows in self.keywords.items() if row < len(rows)}

    def vector(self, name: str, row: int, rows: int) -> Floats | None:
        """float32[d] of one item; None where it has none."""
        matrix = self.matrix(name, rows)
        return None if matrix is None or np.isnan(matrix[row]).any() else matrix[row]

    def matrix(self, name: str, rows: int) -> Floats | None:
        """float32[rows, d]; None where the bytes fit no such matrix."""
        data = self.vectors[name]
        if not rows or not data or len(data) % (2 * rows):
            return None
        return np.frombuffer(data, "<f2").reshape(rows, -1).astype(np.float32)

    def columns(self, rows: int) -> dict[str, Column]:
        """The items' fields and vectors as a batch has them."""
        made = {field: Column(Kind.KEYWORD, list(values)) for field, values in self.keywords.items()}
        for name in self.vectors:
            matrix = self.matrix(name, rows)
            if matrix is not None:
                made[name] = Column(Kind.VECTOR, matrix)
        return made


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Context)
NOTHING = Context()


def read_context(data: bytes) -> Context:
    """The context of an impression; none for what is no such thing."""
    try:
        return _decoder.decode(data) if data else NOTHING
    except msgspec.MsgspecError:
        return NOTHING


def wanted_context(inputs: Iterable[Input]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(keyword fields, vector columns) that a ranker's profiles count by."""
    found = [one for one in map(statistic_of, (read.name for read in inputs)) if one and one.field]
    fields = dict.fromkeys(one.field for one in found if one.scope.endswith("_field"))
    vectors = dict.fromkeys(one.field for one in found if one.scope.endswith("_vector"))
    return tuple(fields), tuple(vectors)


def context_of(batch: CandidateBatch, rows: Rows, inputs: Iterable[Input]) -> bytes:
    """What an impression of these rows has to hold; b"" where the ranker counts by no field and no vector."""
    fields, names = wanted_context(inputs)
    if not fields and not names:
        return b""
    taken = batch.take(rows) if len(batch.queries) == 1 else batch
    keywords = {field: folded(taken, field) for field in fields}
    vectors = {name: halved(taken, name).astype("<f2").tobytes() for name in names if name in batch.columns}
    return _encoder.encode(Context(keywords, vectors))


def folded(batch: CandidateBatch, field: str) -> tuple[tuple[str, ...], ...]:
    """Each row's keywords as they are compared."""
    rows = batch.column(field, Kind.KEYWORD).values
    return tuple(tuple(dict.fromkeys(map(fold, row))) for row in rows)


def halved(batch: CandidateBatch, name: str) -> Floats:
    """float32[n, d]: unit vectors rounded to float16, which costs a cosine some .0005.

    Serving compares, and the log keeps, the same rounded vectors, so that a replay gives the same bits.
    """
    key = ("halved", name)
    if key not in batch.memo:
        rows: Floats = np.array(batch.column(name, Kind.VECTOR).values, np.float32)
        to_unit_length(rows)
        batch.memo[key] = rows.astype(np.float16).astype(np.float32)
    made: Floats = batch.memo[key]
    return made
