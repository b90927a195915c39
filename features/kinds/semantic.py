"""How near a candidate is in meaning: the cosine of two vectors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol

import msgspec
import numpy as np

from features.batch import CandidateBatch
from features.columns import Floats, Input, Kind
from features.encoder import EMBEDDED, StaticEncoder, load_encoder
from features.errors import InvalidInput, NotReady
from features.feature import Feature, State
from features.transformer.carried import carried, carry
from features.transformer.encoder import Reading
from features.transformer.model import MODEL
from features.vectors import cosines


class Encoder(Protocol):
    """Texts to vectors."""

    @property
    def digest(self) -> str:
        """Equal digests give equal vectors."""
        ...

    def encode(self, texts: Sequence[str | None], prefix: str = "") -> Floats:
        """float32[n, d]; a row of NaN where a text has no vector."""
        ...


class Semantic(Feature, frozen=True):
    """cos(q, d) = q·d / (|q| |d|), within [-1, 1]; NaN where a vector is missing, zero, or cannot be made.

    With `vector`, the vectors are the caller's: the candidates' vector column `field`, and the query's vector
    of that name. Without it, they are made of texts: the candidates' fields and the query's text.

    An encoder is a static one (`features/encoder.py`), whose digest is part of what `prepare` learns, so that
    a set never computes with another one; or the directory of an exported sentence encoder
    (`features/transformer/encoder.py`), which is learned state as a whole and travels with the bundle.

    Attributes:
        field: a vector column with `vector`, else a text column.
        fields: several text columns in place of `field`.
        vector: the name of the query's vector.
        encoder: `embedded`, the file of a static encoder, or the directory of an exported model.
        query_prefix, document_prefix: stand before the texts, as models of the E5 family ask for.
        max_tokens: of a text; more is cut. It holds for exported models, as does `cache_mb`, for vectors.
        combine: `join` the texts of several fields with ". ", or take the `max` of their cosines.
    """

    field: str | None = None
    fields: tuple[str, ...] = ()
    vector: str | None = None
    encoder: str = EMBEDDED
    query_prefix: str = ""
    document_prefix: str = ""
    max_tokens: Annotated[int, msgspec.Meta(ge=8, le=8192)] = 256
    cache_mb: Annotated[int, msgspec.Meta(ge=0)] = 256
    combine: Literal["join", "max"] = "join"

    kind: ClassVar[str] = "semantic"

    def __post_init__(self) -> None:
        if (self.field is None) == (not self.fields):
            raise ValueError("needs either field or fields")
        if self.vector is not None and (self.field is None or self.encoder != EMBEDDED):
            raise ValueError("vector goes with field, a vector column, and with no encoder")

    @property
    def tolerance(self) -> float:
        """An exported model's sums round differently on another machine, and a value may fall on the next
        int8 step."""
        return super().tolerance if self.encoder == EMBEDDED or self.vector is not None else 0.02

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The vector column, or the text columns."""
        kind = Kind.TEXT if self.vector is None else Kind.VECTOR
        return tuple(Input(name, kind) for name in self._fields)

    @property
    def _fields(self) -> tuple[str, ...]:
        return self.fields or (self.field or "",)

    @property
    def _reading(self) -> Reading:
        return Reading(self.max_tokens, cache_bytes=self.cache_mb * 1_000_000)

    def prepare(self, documents: CandidateBatch) -> State:  # noqa: ARG002 (the encoder is fixed)
        """`encoder`: uint8[32], a static encoder's digest; or the files of an exported model, uint8 each;
        nothing for the caller's vectors.

        Raises:
            NotReady: if there is no such encoder, or it is none that is independent of its company.
        """
        if self.vector is not None:
            return {}
        if Path(self.encoder).is_dir():
            return carry(Path(self.encoder), self._reading)
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
        encoder = self._prepared(state)
        queries = encoder.encode([query.text for query in batch.queries], self.query_prefix)
        groups = [self._fields] if self.combine == "join" else [(name,) for name in self._fields]
        made = [encoded(batch, group, encoder, self.document_prefix) for group in groups]
        return np.asarray(np.fmax.reduce([cosine(each, queries, batch) for each in made]))[:, None]

    def _prepared(self, state: State) -> Encoder:
        """The encoder that the state was learned with."""
        if MODEL in state:
            return carried(state, self._reading)
        encoder = load_encoder(self.encoder)
        if "encoder" not in state or not np.array_equal(state["encoder"], fingerprint(encoder)):
            raise NotReady(
                "was prepared with another encoder, or not at all; train it again",
                path=f"features.{self.name}",
            )
        return encoder

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


def encoded(batch: CandidateBatch, fields: tuple[str, ...], encoder: Encoder, prefix: str = "") -> Floats:
    """float32[n, d]: vectors of the joined fields, made once a batch for all features that read them."""
    key = ("encoded", encoder.digest, fields, prefix)
    if key not in batch.memo:
        batch.memo[key] = encoder.encode(joined(batch, fields), prefix)
    made: Floats = batch.memo[key]
    return made


def joined(batch: CandidateBatch, fields: tuple[str, ...]) -> list[str | None]:
    """The texts of several fields as one a candidate, ". " between them."""
    columns = [batch.column(name, Kind.TEXT).values for name in fields]
    if len(columns) == 1:
        return list(columns[0])
    return [". ".join(filter(None, texts)) for texts in zip(*columns, strict=True)]
