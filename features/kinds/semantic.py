"""How near a candidate is in meaning: the cosine of two vectors."""

from typing import ClassVar, Literal

import numpy as np

from features.batch import CandidateBatch
from features.columns import Floats, Input, Kind
from features.encoder import EMBEDDED, StaticEncoder, load_encoder
from features.errors import InvalidInput, NotReady
from features.feature import Feature, State
from features.vectors import cosines


class Semantic(Feature, frozen=True):
    """cos(q, d) = q·d / (|q| |d|), within [-1, 1]; NaN where a vector is missing, zero, or cannot be made.

    With `vector`, the vectors are the caller's: the candidates' vector column `field`, and the query's vector
    of that name. Without it, they are made of texts: the candidates' fields and the query's text, by a static
    encoder, whose digest is part of what `prepare` learns, so that a set never computes with another one.

    Attributes:
        field: a vector column with `vector`, else a text column.
        fields: several text columns in place of `field`.
        vector: the name of the query's vector.
        encoder: `embedded`, or the file of an encoder.
        combine: `join` the texts of several fields with ". ", or take the `max` of their cosines.
    """

    field: str | None = None
    fields: tuple[str, ...] = ()
    vector: str | None = None
    encoder: str = EMBEDDED
    combine: Literal["join", "max"] = "join"

    kind: ClassVar[str] = "semantic"

    def __post_init__(self) -> None:
        if (self.field is None) == (not self.fields):
            raise ValueError("needs either field or fields")
        if self.vector is not None and (self.field is None or self.encoder != EMBEDDED):
            raise ValueError("vector goes with field, a vector column, and with no encoder")

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The vector column, or the text columns."""
        kind = Kind.TEXT if self.vector is None else Kind.VECTOR
        return tuple(Input(name, kind) for name in self._fields)

    @property
    def _fields(self) -> tuple[str, ...]:
        return self.fields or (self.field or "",)

    def prepare(self, documents: CandidateBatch) -> State:  # noqa: ARG002 (the encoder is fixed)
        """`encoder`: uint8[32], the encoder's digest; nothing for the caller's vectors."""
        if self.vector is not None:
            return {}
        return {"encoder": fingerprint(load_encoder(self.encoder))}

    def compute(self, batch: CandidateBatch, state: State) -> Floats:
        """float32[n, 1].

        Raises:
            InvalidInput: if the query's vector is of another dimension than the candidates'.
            NotReady: if there is no encoder, or not the one that the set was prepared with.
        """
        if self.vector is not None:
            rows: Floats = batch.column(self.field or "", Kind.VECTOR).values
            return cosine(rows, self._sent(batch, rows.shape[1]), batch)[:, None]
        encoder, path = load_encoder(self.encoder), f"features.{self.name}"
        if "encoder" not in state or not np.array_equal(state["encoder"], fingerprint(encoder)):
            raise NotReady("was prepared with another encoder, or not at all; train it again", path=path)
        queries = encoder.encode([query.text for query in batch.queries])
        groups = [self._fields] if self.combine == "join" else [(name,) for name in self._fields]
        made = [cosine(encoded(batch, group, encoder), queries, batch) for group in groups]
        return np.asarray(np.fmax.reduce(made))[:, None]

    def _sent(self, batch: CandidateBatch, dimension: int) -> Floats:
        """float32[q, d]: the queries' vectors; NaN for a query without one."""
        queries = np.full((len(batch.queries), dimension), np.nan, np.float32)
        for position, query in enumerate(batch.queries):
            sent = query.vectors.get(self.vector or "")
            if sent is None or not dimension:
                continue
            if np.shape(sent) != (dimension,):
                raise InvalidInput(
                    f"has {dimension} dimensions, and query vector {self.vector!r} has {np.shape(sent)[-1:]}",
                    path=f"columns.{self.field}",
                )
            if np.isinf(sent).any():
                raise InvalidInput("must be finite", path=f"queries[{position}].vectors.{self.vector}")
            queries[position] = sent
        return queries


def fingerprint(encoder: StaticEncoder) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """uint8[32]: the encoder's digest as an array that a state can hold."""
    return np.frombuffer(bytes.fromhex(encoder.digest), np.uint8)


def cosine(rows: Floats, queries: Floats, batch: CandidateBatch) -> Floats:
    """float32[n]: the cosine of each row and its query's vector."""
    made = np.empty(len(rows), np.float32)
    cosines(np.ascontiguousarray(rows), queries, batch.query_of_row, made)
    return made


def encoded(batch: CandidateBatch, fields: tuple[str, ...], encoder: StaticEncoder) -> Floats:
    """float32[n, d]: vectors of the joined fields, made once a batch for all features that read them."""
    key = ("encoded", encoder.digest, fields)
    if key not in batch.memo:
        batch.memo[key] = encoder.encode(joined(batch, fields))
    made: Floats = batch.memo[key]
    return made


def joined(batch: CandidateBatch, fields: tuple[str, ...]) -> list[str | None]:
    """The texts of several fields as one a candidate, ". " between them."""
    columns = [batch.column(name, Kind.TEXT).values for name in fields]
    if len(columns) == 1:
        return list(columns[0])
    return [". ".join(filter(None, texts)) for texts in zip(*columns, strict=True)]
