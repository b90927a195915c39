"""The columns that candidates arrive in, one small type a kind, and how one kind reads as another.

Missing is `None` for a text, an empty tuple for keywords, NaN for numbers, timestamps and vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import InvalidInput

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Kind(StrEnum):
    """The kinds of a column."""

    TEXT = "text"
    NUMBER = "number"
    KEYWORD = "keyword"
    TIMESTAMP = "timestamp"
    VECTOR = "vector"


@dataclass(frozen=True, slots=True)
class Input:
    """One column that a feature or a stage reads."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Values of one kind, a row a candidate.

    `values` is `list[str | None]` for text, `list[tuple[str, ...]]` for keywords, `float32[n]` for
    numbers, `float64[n]` (seconds since 1970, UTC) for timestamps and `float32[n, d]` for vectors.
    """

    kind: Kind
    values: Any

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Rows) -> "Column":
        """The given rows, in the given order."""
        if isinstance(self.values, np.ndarray):
            return Column(self.kind, self.values[rows])
        values = self.values
        return Column(self.kind, [values[row] for row in rows.tolist()])


def text(values: Sequence[str | None]) -> Column:
    """A text column; None is missing."""
    return Column(Kind.TEXT, list(values))


def keyword(values: Sequence[Sequence[str]]) -> Column:
    """A keyword column, any number of keywords a row; none is missing."""
    return Column(Kind.KEYWORD, [tuple(row) for row in values])


def number(values: Sequence[float] | NDArray[Any]) -> Column:
    """A number column; NaN is missing. Infinities are refused."""
    array = np.ascontiguousarray(values, dtype=np.float32)
    if np.isinf(array).any():
        row = int(np.flatnonzero(np.isinf(array))[0])
        raise InvalidInput("a number must be finite (NaN means missing)", path=f"[{row}]")
    return Column(Kind.NUMBER, array)


def timestamp(values: Sequence[float] | NDArray[Any]) -> Column:
    """A timestamp column in seconds since 1970, UTC; NaN is missing."""
    array = np.ascontiguousarray(values, dtype=np.float64)
    if np.isinf(array).any():
        row = int(np.flatnonzero(np.isinf(array))[0])
        raise InvalidInput("a timestamp must be finite (NaN means missing)", path=f"[{row}]")
    return Column(Kind.TIMESTAMP, array)


def vector(values: NDArray[Any]) -> Column:
    """A vector column `float32[n, d]`; a row of NaN is missing."""
    array = np.ascontiguousarray(values, dtype=np.float32)
    if array.ndim != 2:
        raise InvalidInput("vectors must be a matrix with a row a candidate")
    if np.isinf(array).any():
        row = int(np.flatnonzero(np.isinf(array).any(axis=1))[0])
        raise InvalidInput("a vector must be finite (NaN means missing)", path=f"[{row}]")
    return Column(Kind.VECTOR, array)


def missing(kind: Kind, n: int) -> Column:
    """A column of `n` missing values."""
    if kind is Kind.TEXT:
        return Column(kind, [None] * n)
    if kind is Kind.KEYWORD:
        return Column(kind, [()] * n)
    if kind is Kind.VECTOR:
        return Column(kind, np.full((n, 0), np.nan, np.float32))
    return Column(kind, np.full(n, np.nan, np.float64 if kind is Kind.TIMESTAMP else np.float32))


def read_as(column: Column, kind: Kind) -> Column:
    """The column as `kind`: text and keywords read as each other, and ISO dates as timestamps.

    Raises:
        InvalidInput: where the kinds have nothing to do with each other.
    """
    if column.kind is kind:
        return column
    pair = (column.kind, kind)
    if pair == (Kind.KEYWORD, Kind.TEXT):
        return Column(kind, [", ".join(row) if row else None for row in column.values])
    if pair == (Kind.TEXT, Kind.KEYWORD):
        return Column(kind, [(value,) if value else () for value in column.values])
    if pair == (Kind.TEXT, Kind.TIMESTAMP):
        return timestamp([seconds(value, row) for row, value in enumerate(column.values)])
    if pair == (Kind.NUMBER, Kind.TIMESTAMP):
        return timestamp(column.values)
    raise InvalidInput(f"is a {column.kind} column where a {kind} column is read")


def seconds(value: str | None, row: int = 0) -> float:
    """Seconds since 1970 of an ISO 8601 date or time (UTC where it names no zone); None is NaN."""
    if not value:
        return float("nan")
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        raise InvalidInput(f"{value!r} is not an ISO 8601 date", path=f"[{row}]") from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
