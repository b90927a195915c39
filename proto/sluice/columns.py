"""Candidates as Python has them (dicts or columns) into column messages; kinds follow from the values.

    str → text    int, float, bool → number    list of str → keyword    date, datetime → timestamp
    list of float, or a numpy matrix → vector    None → missing

Nothing that the caller passes in is changed.
"""

import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from itertools import chain
from numbers import Real
from typing import Any

from sluice.errors import InvalidCandidates
from sluice.v1 import ranking_pb2 as pb

ID = "id"
NAN = float("nan")

Candidates = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]]
"""A list of dicts with an `id` each, or columns of one length with one named `id`."""


def to_candidates(candidates: Candidates) -> pb.Candidates:
    """The message of candidates.

    Raises:
        InvalidCandidates: naming the candidate and the field.
    """
    columns = dict(candidates) if isinstance(candidates, Mapping) else transposed(candidates)
    if ID not in columns and columns:
        raise InvalidCandidates(f"candidates need an {ID!r}")
    ids = [str(value) for value in columns.pop(ID, ())]
    message = pb.Candidates(ids=ids)
    numbers: dict[str, Sequence[Any]] = {}
    for name, values in columns.items():
        if len(values) != len(ids):
            raise InvalidCandidates(f"column {name!r} has {len(values)} rows for {len(ids)} ids")
        kind = kind_of(name, values)
        if kind == "number":
            numbers[name] = values
        elif kind:
            message.columns.append(WRITERS[kind](name, values))
    if numbers:
        message.numbers.CopyFrom(to_matrix(numbers))
    return message


def transposed(rows: Sequence[Mapping[str, Any]]) -> dict[str, Sequence[Any]]:
    """Columns of dicts, in the order in which names first appear; what a dict lacks is None."""
    for position, row in enumerate(rows):
        if row.get(ID) is None:
            raise InvalidCandidates(f"candidates[{position}] has no {ID!r}")
    names = dict.fromkeys(chain.from_iterable(rows))
    return {name: [row.get(name) for row in rows] for name in names}


def kind_of(name: str, values: Any) -> str:
    """The one kind of a column's values; "" where all are missing."""
    if hasattr(values, "dtype"):
        return "vector" if values.ndim == 2 else kind_of(name, values.tolist())
    kinds: dict[str, int] = {}
    for row, value in enumerate(values):
        if value is not None:
            kinds.setdefault(kind_of_value(name, row, value), row)
    if set(kinds) <= {"text", "keyword", ""} and set(kinds) - {"text"}:
        return "keyword" if set(kinds) - {""} else ""
    kinds.pop("", None)  # an empty list is keywords or a vector, and missing as either
    if len(kinds) > 1:
        found = " and ".join(f"a {kind} (row {row})" for kind, row in kinds.items())
        raise InvalidCandidates(f"field {name!r} holds {found}; send one kind, or None where it is missing")
    return next(iter(kinds), "")


def kind_of_value(name: str, row: int, value: Any) -> str:
    """The kind of one value."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, Real):
        return "number"
    if isinstance(value, date):
        return "timestamp"
    if hasattr(value, "dtype"):
        return "vector"
    if isinstance(value, list | tuple | set | frozenset):
        if all(isinstance(each, str) for each in value):
            return "keyword" if value else ""
        if all(isinstance(each, Real) for each in value):
            return "vector"
    raise InvalidCandidates(
        f"candidates[{row}].{name} is a {type(value).__name__}; "
        "text, number, date, list of texts or list of numbers is wanted"
    )


def to_text(name: str, values: Sequence[Any]) -> pb.Column:
    """A text column."""
    missing = [row for row, value in enumerate(values) if value is None]
    return pb.Column(name=name, text=pb.TextColumn(values=[value or "" for value in values], missing=missing))


def to_keyword(name: str, values: Sequence[Any]) -> pb.Column:
    """A keyword column; the elements of a set are sorted, so that the same set gives the same bytes."""
    rows = [keywords(value) for value in values]
    flat = pb.KeywordColumn(values=chain.from_iterable(rows), counts=map(len, rows))
    return pb.Column(name=name, keyword=flat)


def keywords(value: Any) -> Sequence[str]:
    """The keywords of one row."""
    if isinstance(value, str):
        return (value,)
    return sorted(value) if isinstance(value, set | frozenset) else value or ()


def to_timestamp(name: str, values: Sequence[Any]) -> pb.Column:
    """A timestamp column."""
    return pb.Column(name=name, timestamp=pb.TimestampColumn(seconds=map(seconds, values)))


def seconds(value: date | None) -> float:
    """Seconds since 1970; UTC where no zone is named, midnight of a bare date, NaN of None."""
    if value is None:
        return NAN
    when = value if isinstance(value, datetime) else datetime.combine(value, time())
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def to_vector(name: str, values: Any) -> pb.Column:
    """A vector column in float32."""
    if hasattr(values, "dtype"):
        wide, data, missing = values.shape[1], values.astype("<f4").tobytes(), []
    else:
        wide = next(len(value) for value in values if value is not None and len(value))
        missing = [row for row, value in enumerate(values) if value is None or not len(value)]
        data = b"".join(row_bytes(name, row, value, wide) for row, value in enumerate(values))
    column = pb.VectorColumn(dimension=wide, type=pb.ELEMENT_TYPE_FLOAT32, data=data, missing=missing)
    return pb.Column(name=name, vector=column)


def row_bytes(name: str, row: int, value: Any, wide: int) -> bytes:
    """One vector's bytes; zeros where it is missing."""
    if value is None or not len(value):
        return bytes(4 * wide)
    if len(value) != wide:
        raise InvalidCandidates(
            f"candidates[{row}].{name} has {len(value)} elements where others have {wide}"
        )
    return float32(value)


def to_matrix(columns: Mapping[str, Sequence[Any]]) -> pb.NumberMatrix:
    """All number columns as one row-major matrix."""
    rows = zip(*columns.values(), strict=True)
    flat = float32(NAN if value is None else value for value in chain.from_iterable(rows))
    return pb.NumberMatrix(names=columns, data=flat)


def float32(values: Iterable[Any]) -> bytes:
    """Little-endian float32."""
    made = array("f", values)
    if sys.byteorder == "big":
        made.byteswap()
    return made.tobytes()


WRITERS = {"text": to_text, "keyword": to_keyword, "timestamp": to_timestamp, "vector": to_vector}
