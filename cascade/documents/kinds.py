"""Columns of Parquet into the few types that a table stores, and those into what features read.

| kind | stored as | missing |
| --- | --- | --- |
| text | large_string | null |
| keyword | large_list of large_string | an empty list |
| number | float | NaN |
| timestamp | double, seconds since 1970 UTC | NaN |
| vector | fixed_size_list of float | NaN in all elements |
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_
from numpy.typing import NDArray

from features.columns import Kind, Rows
from features.errors import InvalidInput

STORED: dict[Kind, Any] = {
    Kind.TEXT: pa.large_string(),
    Kind.KEYWORD: pa.large_list(pa.large_string()),
    Kind.NUMBER: pa.float32(),
    Kind.TIMESTAMP: pa.float64(),
}
MICROS = 1e6


def kind_of(kind: Any, name: str) -> Kind | None:
    """The kind of an Arrow type; None for a column of nothing but nulls.

    Raises:
        InvalidInput: naming the column, for a type that no feature reads.
    """
    kind = kind.value_type if is_.is_dictionary(kind) else kind
    if is_.is_null(kind):
        return None
    if is_string(kind):
        return Kind.TEXT
    if is_.is_boolean(kind) or is_number(kind):
        return Kind.NUMBER
    if is_.is_timestamp(kind) or is_.is_date(kind):
        return Kind.TIMESTAMP
    if is_list(kind):
        if is_string(kind.value_type):
            return Kind.KEYWORD
        if is_number(kind.value_type):
            return Kind.VECTOR
    raise InvalidInput(f"is of type {kind}, which no feature reads; leave it out or convert it", path=name)


def is_string(kind: Any) -> bool:
    """Whether values are texts."""
    return bool(is_.is_string(kind) or is_.is_large_string(kind))


def is_number(kind: Any) -> bool:
    """Whether values are numbers."""
    return bool(is_.is_integer(kind) or is_.is_floating(kind) or is_.is_decimal(kind))


def is_list(kind: Any) -> bool:
    """Whether values are lists."""
    return bool(is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind))


def stored_type(kind: Kind, width: int) -> Any:
    """The Arrow type that a table stores a kind as."""
    return pa.list_(pa.float32(), width) if kind is Kind.VECTOR else STORED[kind]


def missing(kind: Kind, width: int, rows: int) -> Any:
    """A stored column of missing values."""
    if kind is Kind.VECTOR:
        return matrix(np.full((rows, width), np.nan, np.float32))
    if kind in (Kind.NUMBER, Kind.TIMESTAMP):
        return pa.array(np.full(rows, np.nan), STORED[kind])
    return pa.nulls(rows, STORED[kind])


def stored(array: Any, kind: Kind, width: int, name: str) -> Any:
    """A column of Parquet as it is stored.

    Raises:
        InvalidInput: naming the column and the row, for an infinite number or a vector of another width.
    """
    if is_.is_dictionary(array.type):
        array = array.dictionary_decode()
    if kind is Kind.VECTOR:
        return vectors(array, width, name)
    if kind in (Kind.TEXT, Kind.KEYWORD):
        return array.cast(STORED[kind])
    return finite(numbers(array, kind), name)


def numbers(array: Any, kind: Kind) -> Any:
    """Numbers, or seconds since 1970; null becomes NaN."""
    if kind is Kind.TIMESTAMP:
        zone = array.type.tz if is_.is_timestamp(array.type) else None
        micros = array.cast(pa.timestamp("us", zone), safe=False)
        array = pc.divide(micros.cast(pa.int64()).cast(pa.float64(), safe=False), MICROS)
    elif is_.is_boolean(array.type):
        array = array.cast(pa.int8())
    elif is_.is_decimal(array.type):
        array = array.cast(pa.float64())
    return pc.fill_null(array.cast(STORED[kind], safe=False), float("nan"))


def finite(array: Any, name: str) -> Any:
    """The column itself, refused where a number is infinite."""
    infinite = np.flatnonzero(np.isinf(array.to_numpy(zero_copy_only=False)))
    if len(infinite):
        raise InvalidInput("a number must be finite (null means missing)", path=f"{name}[{infinite[0]}]")
    return array


def vectors(array: Any, width: int, name: str) -> Any:
    """Vectors of one width; a null becomes a row of NaN."""
    there = np.asarray(array.is_valid())
    lengths = np.asarray(pc.fill_null(pc.list_value_length(array), width))
    wrong = np.flatnonzero(lengths != width)
    if len(wrong):
        row = wrong[0]
        raise InvalidInput(f"has {lengths[row]} elements where others have {width}", path=f"{name}[{row}]")
    flat = pc.list_flatten(array.filter(pa.array(there))).cast(pa.float32(), safe=False)
    made = np.full((len(array), width), np.nan, np.float32)
    made[there] = np.asarray(pc.fill_null(flat, float("nan"))).reshape(-1, width)
    broken = np.flatnonzero(there & ~np.isfinite(made).all(axis=1))
    if len(broken):
        raise InvalidInput("a vector must be finite (null means missing)", path=f"{name}[{broken[0]}]")
    return matrix(made)


def matrix(rows: NDArray[np.float32]) -> Any:
    """A stored vector column."""
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel(), pa.float32()), rows.shape[1])


def gathered(array: Any, rows: Rows) -> Any:
    """Rows of a stored column: an array of numbers or vectors, a list of texts or of tuples."""
    if is_.is_fixed_size_list(array.type):
        return array.flatten().to_numpy().reshape(len(array), -1)[rows]
    if is_.is_floating(array.type):
        return array.to_numpy()[rows]
    taken = array.take(pa.array(rows))
    if is_string(array.type):
        return taken.to_numpy(zero_copy_only=False).tolist()
    return [tuple(row) if row else () for row in taken.to_pylist()]


EMPTY_VALUES: dict[Kind, Callable[[int, int], Any]] = {
    Kind.TEXT: lambda rows, _: [None] * rows,
    Kind.KEYWORD: lambda rows, _: [()] * rows,
    Kind.NUMBER: lambda rows, _: np.full(rows, np.nan, np.float32),
    Kind.TIMESTAMP: lambda rows, _: np.full(rows, np.nan, np.float64),
    Kind.VECTOR: lambda rows, width: np.full((rows, width), np.nan, np.float32),
}


def put(into: Any, places: Rows, values: Any) -> None:
    """Write values to places of an array or a list."""
    if isinstance(into, np.ndarray):
        into[places] = values
        return
    for place, value in zip(places.tolist(), values, strict=True):
        into[place] = value
