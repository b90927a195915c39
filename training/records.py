"""Documents and queries from JSON lines."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from features.batch import Query, Value
from features.errors import InvalidInput
from training.documents import Documents
from training.files import at, lines

DECODE = msgspec.json.Decoder().decode


def records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(`file:line`, object) of a JSON lines file.

    Raises:
        InvalidInput: for a line that is no JSON object.
    """
    for number, line in lines(path):
        where = at(path, number)
        yield where, parsed(line, where)


def parsed(line: str, where: str = "") -> dict[str, Any]:
    """The object of a line.

    Raises:
        InvalidInput: if it is no JSON object.
    """
    try:
        record = DECODE(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput(f"not JSON: {error}", path=where) from None
    if not isinstance(record, dict):
        raise InvalidInput("not a JSON object", path=where)
    return record


def identity(record: dict[str, Any], where: str, seen: Mapping[str, object]) -> str:
    """The id of a record, taken out of it.

    Raises:
        InvalidInput: if there is none, or it was seen before.
    """
    keys = [key for key in ("_id", "id") if key in record]
    if not keys or not isinstance(record[keys[0]], str | int):
        raise InvalidInput("needs an `_id` (or `id`) that is a string", path=where)
    key = str(record.pop(keys[0]))
    if not key or key in seen:
        raise InvalidInput(f"a second record with the id {key!r}" if key else "an empty id", path=where)
    return key


def read_documents(path: Path) -> Documents:
    """The corpus.

    Raises:
        InvalidInput: naming the line of a document that cannot be right.
    """
    ids: dict[str, int] = {}
    rows: list[dict[str, Any]] = []
    for where, record in records(path):
        ids[identity(record, where, ids)] = len(rows)
        rows.append(record)
    if not rows:
        raise InvalidInput("holds no documents", path=str(path))
    return Documents(ids, rows)


def read_queries(path: Path) -> dict[str, Query]:
    """Queries by id, in the file's order.

    Raises:
        InvalidInput: for an empty text, a second id, or a value that is no string, number or list of strings.
    """
    queries: dict[str, Query] = {}
    for where, record in records(path):
        key = identity(record, where, queries)
        text = record.pop("text", None)
        if not isinstance(text, str) or not text.strip():
            raise InvalidInput("a query needs a `text` that is not empty", path=where)
        values = {name: query_value(value, f"{where}: {name}") for name, value in record.items()}
        queries[key] = Query(text, {k: v for k, v in values.items() if v is not None}, {}, key)
    if not queries:
        raise InvalidInput("holds no queries", path=str(path))
    return queries


def finite(value: float, where: str) -> float:
    """The number.

    Raises:
        InvalidInput: for a whole number beyond float64.
    """
    try:
        return float(value)
    except OverflowError:
        raise InvalidInput("is too large a number", path=where) from None


def query_value(value: Any, where: str) -> Value | None:
    """A named value of a query; null is missing.

    Raises:
        InvalidInput: for objects and mixed lists.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return finite(value, where)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return tuple(value)
    raise InvalidInput("a value of a query is a string, a number or a list of strings", path=where)
