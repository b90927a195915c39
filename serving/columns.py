"""Column messages into columns: every way in which one can be wrong, named by its path."""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features import columns as domain
from features.columns import Column, Floats, Kind
from features.errors import InvalidInput
from serving.settings import Limits
from sluice.v1 import ranking_pb2 as pb

DTYPES: dict[int, np.dtype[Any]] = {
    pb.ELEMENT_TYPE_UNSPECIFIED: np.dtype("<f4"),
    pb.ELEMENT_TYPE_FLOAT32: np.dtype("<f4"),
    pb.ELEMENT_TYPE_FLOAT16: np.dtype("<f2"),
    pb.ELEMENT_TYPE_INT8: np.dtype("i1"),
}
"""Element types on the wire."""

Named = tuple[str, str, str, Column | None]
"""Name, path in the request, kind on the wire, and the column (None for kinds that no feature reads yet)."""


def read_columns(message: pb.Candidates, n: int, limits: Limits) -> Iterator[Named]:
    """Every column of the candidates, those of the number matrix last.

    Raises:
        InvalidInput: naming the column, and the row where one is at fault.
    """
    sent = len(message.columns) + len(message.numbers.names)
    if sent > limits.columns:
        raise InvalidInput(
            f"has {sent} columns, more than the {limits.columns} allowed", path="candidates.columns"
        )
    for position, column in enumerate(message.columns):
        kind = column.WhichOneof("values")
        path = f"candidates.columns[{position}]"
        if kind is None:
            raise InvalidInput("has no values of any kind", path=path)
        path += f".{kind}"
        yield column.name, path, kind, READERS[kind](getattr(column, kind), n, path, limits)
    yield from read_matrix(message.numbers, n, "candidates.numbers")


def read_text(message: pb.TextColumn, n: int, path: str, limits: Limits) -> Column:
    """A text column."""
    sent = list(message.values)
    check_rows(len(sent), n, path)
    check_lengths(sent, limits.text_bytes, path, "values")
    values: list[str | None] = [*sent]
    if message.missing:
        for row in rows_of(message.missing, n, path).tolist():
            values[row] = None
    return Column(Kind.TEXT, values)


def read_number(message: pb.NumberColumn, n: int, path: str, limits: Limits) -> Column:  # noqa: ARG001
    """A number column."""
    check_rows(len(message.values), n, path)
    return at(f"{path}.values", domain.number, np.array(message.values, np.float32))


def read_timestamp(message: pb.TimestampColumn, n: int, path: str, limits: Limits) -> Column:  # noqa: ARG001
    """A timestamp column."""
    check_rows(len(message.seconds), n, path)
    return at(f"{path}.seconds", domain.timestamp, np.array(message.seconds, np.float64))


def read_keyword(message: pb.KeywordColumn, n: int, path: str, limits: Limits) -> Column:
    """A keyword column."""
    values = list(message.values)
    check_rows(len(message.counts), n, path)
    check_lengths(values, limits.text_bytes, path, "values")
    check_counts(message.counts, len(values), path)
    ends = pairwise(accumulate(message.counts, initial=0))
    return Column(Kind.KEYWORD, [tuple(values[start:end]) for start, end in ends])


def read_vector(message: pb.VectorColumn, n: int, path: str, limits: Limits) -> Column:
    """A vector column; rows named as missing are NaN."""
    matrix = read_elements(message, n, path, limits)
    missing = rows_of(message.missing, n, path)
    matrix[missing] = np.nan
    partly = np.flatnonzero(np.isnan(matrix).any(axis=1) & ~np.isnan(matrix).all(axis=1))
    if len(partly):
        raise InvalidInput("is not a number in part of a vector", path=f"{path}.data[{partly[0]}]")
    return at(f"{path}.data", domain.vector, matrix)


def read_token_vectors(message: pb.TokenVectorColumn, n: int, path: str, limits: Limits) -> None:
    """Checked like any other, though no feature or stage reads token vectors yet."""
    check_rows(len(message.counts), n, path)
    matrix = read_elements(message, sum(message.counts), path, limits)
    if not np.isfinite(matrix).all():
        raise InvalidInput("a vector must be finite", path=f"{path}.data")


READERS: dict[str, Any] = {
    "text": read_text,
    "number": read_number,
    "keyword": read_keyword,
    "timestamp": read_timestamp,
    "vector": read_vector,
    "token_vectors": read_token_vectors,
}


def read_matrix(message: pb.NumberMatrix, n: int, path: str) -> Iterator[Named]:
    """The columns of a number matrix, each contiguous."""
    wide = len(message.names)
    if len(message.data) != 4 * n * wide:
        wanted = f"{n} rows x {wide} columns x 4 bytes = {4 * n * wide}"
        raise InvalidInput(f"has {len(message.data)} bytes for {wanted}", path=f"{path}.data")
    by_column = np.frombuffer(message.data, "<f4").reshape(n, wide).T.astype(np.float32, order="C")
    infinite = np.isinf(by_column)
    if infinite.any():
        column, row = (int(at[0]) for at in np.nonzero(infinite))
        raise InvalidInput(
            "a number must be finite (NaN means missing)", path=f"{path}.names[{column}][{row}]"
        )
    for position, name in enumerate(message.names):
        yield name, f"{path}.names[{position}]", "number", Column(Kind.NUMBER, by_column[position])


def read_elements(message: Any, rows: int, path: str, limits: Limits) -> Floats:
    """float32[rows, dimension] out of bytes, a fresh array."""
    wide = message.dimension
    if not 1 <= wide <= limits.vector_dimension:
        allowed = f"1 to {limits.vector_dimension}"
        raise InvalidInput(f"is {wide} where {allowed} is allowed", path=f"{path}.dimension")
    dtype = element_dtype(message.type, path)
    if len(message.data) != rows * wide * dtype.itemsize:
        wanted = f"{rows} vectors x {wide} elements x {dtype.itemsize} bytes = {rows * wide * dtype.itemsize}"
        raise InvalidInput(f"has {len(message.data)} bytes for {wanted}", path=f"{path}.data")
    return np.frombuffer(message.data, dtype).reshape(rows, wide).astype(np.float32)


def read_query_vector(message: pb.Vector, path: str, limits: Limits) -> Floats:
    """float32[d], finite."""
    dtype = element_dtype(message.type, path)
    wide, rest = divmod(len(message.data), dtype.itemsize)
    if rest or not 1 <= wide <= limits.vector_dimension:
        allowed = f"1 to {limits.vector_dimension} elements of {dtype.itemsize} bytes"
        raise InvalidInput(f"has {len(message.data)} bytes where {allowed} are allowed", path=f"{path}.data")
    made = np.frombuffer(message.data, dtype).astype(np.float32)
    if not np.isfinite(made).all():
        raise InvalidInput("a query vector must be finite", path=f"{path}.data")
    return made


def element_dtype(element_type: int, path: str) -> np.dtype[Any]:
    """How the elements are stored; a number that is no element type is refused."""
    if element_type not in DTYPES:
        raise InvalidInput(f"no element type {element_type}", path=f"{path}.type")
    return DTYPES[element_type]


def check_rows(rows: int, n: int, path: str) -> None:
    """Refuse a column that is longer or shorter than the ids."""
    if rows != n:
        raise InvalidInput(f"has {rows} rows for {n} ids", path=path)


def check_counts(counts: Sequence[int], values: int, path: str) -> None:
    """Refuse counts that do not use up the values."""
    if sum(counts) != values:
        raise InvalidInput(f"add up to {sum(counts)} for {values} values", path=f"{path}.counts")


def check_lengths(texts: Sequence[str], most: int, path: str, field: str) -> None:
    """Refuse a text of more than `most` bytes in UTF-8 (a character has at most 4)."""
    if 4 * max(map(len, texts), default=0) <= most:
        return
    for row, text in enumerate(texts):
        check_length(text, most, f"{path}.{field}[{row}]")


def check_length(text: str, most: int, path: str) -> None:
    """Refuse one text of more than `most` bytes in UTF-8."""
    size = len(text.encode())
    if size > most:
        raise InvalidInput(f"has {size} bytes, more than the {most} allowed", path=path)


def rows_of(rows: Sequence[int], n: int, path: str) -> NDArray[np.int64]:
    """int64: row indexes, none beyond the ids."""
    made = np.array(rows, np.int64)
    beyond = np.flatnonzero(made >= n)
    if len(beyond):
        raise InvalidInput(f"names row {made[beyond[0]]} of {n}", path=f"{path}.missing[{beyond[0]}]")
    return made


def at(path: str, make: Any, values: NDArray[Any]) -> Column:
    """The column, its error put under the path it has in the request."""
    try:
        column: Column = make(values)
    except InvalidInput as error:
        raise error.at(path) from None
    return column
