"""The one place where messages meet domain types: requests in here, rankings out in `answer`.

Every check names the field by its path in the request, and is made before any work is done.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from typing import cast

from cascade.deadline import Deadline
from cascade.request import RankRequest
from features.batch import Query, Value, single
from features.behaviour import PREFIX as BEHAVIOUR
from features.columns import Column, Input, Kind, read_as
from features.errors import InvalidInput
from serving.columns import Named, check_length, check_lengths, read_columns, read_query_vector
from serving.settings import Limits
from sluice.v1 import ranking_pb2 as pb

NOW = "now"
"""Query value that the server fills in where it was not sent: seconds since 1970."""

Reads = Mapping[str, frozenset[Kind]]
"""Column name → the kinds that the ranker reads it as."""

Joined = tuple[dict[str, Column], tuple[str, ...]]
"""Columns by name, and warnings."""

Join = Callable[[Sequence[str], Reads], Joined]
"""Finds columns for candidates by their ids: those of the asked that are known."""


def nothing_joined(ids: Sequence[str], wanted: Reads) -> Joined:  # noqa: ARG001
    """Of a tenant that sends all columns."""
    return {}, ()


@dataclass(frozen=True, slots=True)
class Work:
    """A request that has been read, with what the caller should know of it."""

    request: RankRequest
    warnings: tuple[str, ...]
    degraded: bool = False


def reads_of(inputs: tuple[Input, ...]) -> Reads:
    """The columns of a ranker by name."""
    return {
        name: frozenset(read.kind for read in inputs if read.name == name)
        for name in dict.fromkeys(read.name for read in inputs)
    }


def budget_s(message: pb.RankRequest) -> float | None:
    """Seconds of the request's own time budget, if it names one.

    Raises:
        InvalidInput: for a negative one.
    """
    if not message.HasField("time_budget"):
        return None
    seconds: float = message.time_budget.seconds + message.time_budget.nanos / 1e9
    if seconds < 0:
        raise InvalidInput("is negative", path="time_budget")
    return seconds


def to_work(
    message: pb.RankRequest,
    reads: Reads,
    limits: Limits,
    deadline: Deadline,
    now: float,
    join: Join = nothing_joined,
    spared: frozenset[str] = frozenset(),
) -> Work:
    """What a request asks for; columns that it does not send are joined by the candidates' ids.

    Of `spared` columns nothing is said where they are missing.

    Raises:
        InvalidInput: naming the field by its path.
    """
    if message.top_k > limits.top_k:
        raise InvalidInput(f"is {message.top_k}, more than the {limits.top_k} allowed", path="top_k")
    query = to_query(message, limits, now)
    ids = to_ids(message.candidates, limits)
    columns, warnings = to_columns(message, ids, reads, limits, join, spared)
    check_dimensions(query, columns)
    return Work(RankRequest(single(query, ids, columns), message.top_k, deadline), warnings)


def to_query(message: pb.RankRequest, limits: Limits, now: float) -> Query:
    """Query and user as one: the user's values are named `user.<name>`."""
    if not message.query.text.strip():
        raise InvalidInput("is empty; send what the person asked for", path="query.text")
    check_length(message.query.text, limits.query_bytes, "query.text")
    sent = len(message.query.values) + len(message.query.vectors) + len(message.user.values)
    if sent > limits.query_values:
        raise InvalidInput(
            f"has {sent} values, more than the {limits.query_values} allowed", path="query.values"
        )
    values: dict[str, Value] = {NOW: now}
    values |= {
        name: to_value(value, f'query.values["{name}"]') for name, value in message.query.values.items()
    }
    values |= {
        f"user.{name}": to_value(value, f'user.values["{name}"]')
        for name, value in message.user.values.items()
    }
    values |= {f"user.{key}": text for key in ("id", "session_id") if (text := getattr(message.user, key))}
    vectors = {
        name: read_query_vector(vector, f'query.vectors["{name}"]', limits)
        for name, vector in message.query.vectors.items()
    }
    return Query(message.query.text, values, vectors, message.request_id)


def to_value(message: pb.Value, path: str) -> Value:
    """A named value."""
    kind = message.WhichOneof("kind")
    if kind is None:
        raise InvalidInput("has no value of any kind", path=path)
    if kind == "keywords":
        return tuple(message.keywords.values)
    if kind == "number" and not isfinite(message.number):
        raise InvalidInput("a number must be finite; leave a missing one out", path=path)
    return cast(Value, getattr(message, kind))


def to_ids(message: pb.Candidates, limits: Limits) -> list[str]:
    """The ids, unique and not empty."""
    ids = list(message.ids)
    if len(ids) > limits.candidates:
        raise InvalidInput(
            f"has {len(ids)} candidates, more than the {limits.candidates} allowed", path="candidates.ids"
        )
    check_lengths(ids, limits.name_bytes, "candidates", "ids")
    distinct = set(ids)
    if "" in distinct:
        raise InvalidInput("is empty", path=f"candidates.ids[{ids.index('')}]")
    if len(distinct) < len(ids):
        first: dict[str, int] = {}
        row = next(row for row, name in enumerate(ids) if first.setdefault(name, row) != row)
        raise InvalidInput(f"{ids[row]!r} is also row {first[ids[row]]}", path=f"candidates.ids[{row}]")
    return ids


def to_columns(
    message: pb.RankRequest,
    ids: Sequence[str],
    reads: Reads,
    limits: Limits,
    join: Join,
    spared: frozenset[str],
) -> Joined:
    """The columns that the ranker reads, and a warning for each that only one side knows."""
    columns: dict[str, Column] = {}
    warnings: list[str] = []
    sent = check_names(read_columns(message.candidates, len(ids), limits), limits)
    for name, named in sent.items():
        kinds = reads.get(name)
        if kinds is not None:
            columns[name] = fitting(named, kinds)
        elif message.ignore_unknown_columns:
            warnings.append(f"{named[1]}: {unknown(name, reads)}")
        else:
            raise InvalidInput(f"{unknown(name, reads)}; or set ignore_unknown_columns", path=named[1])
    unsent = reads.keys() - sent.keys()
    wanted = {name: reads[name] for name in reads if name in unsent and not name.startswith(BEHAVIOUR)}
    joined, told = join(ids, wanted)
    absent = [name for name in wanted if name not in joined and name not in spared]
    if absent and ids:
        warnings.append(f"candidates.columns: {', '.join(absent)} not sent; missing for every candidate")
    return columns | joined, (*warnings, *told)


def check_names(columns: Iterable[Named], limits: Limits) -> dict[str, Named]:
    """The columns by name; one without a name, with an endless one, or with another's is refused."""
    found: dict[str, Named] = {}
    for named in columns:
        name = named[0]
        if not name:
            raise InvalidInput("has no name", path=named[1])
        if 4 * len(name) > limits.name_bytes:  # so that most names cost no path
            check_length(name, limits.name_bytes, f"{named[1]}.name")
        if name in found:
            raise InvalidInput(f"a second column named {name!r}", path=named[1])
        found[name] = named
    return found


def unknown(name: str, reads: Reads) -> str:
    """One sentence on a column that the ranker does not read."""
    near = get_close_matches(name, reads, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"the ranker reads no column {name!r}{hint} (it reads {', '.join(reads) or 'none'})"


def fitting(named: Named, kinds: frozenset[Kind]) -> Column:
    """The column as it will be read; where that is in one way only, converted once and for all."""
    _, path, sent, column = named
    if column is not None and len(kinds) == 1 and column.kind in kinds:
        return column
    if column is None:
        wanted = " and ".join(sorted(kinds))
        raise InvalidInput(f"is a {sent} column where a {wanted} column is read", path=path)
    try:
        return as_read(column, kinds)
    except InvalidInput as error:
        raise error.at(path) from None


def as_read(column: Column, kinds: frozenset[Kind]) -> Column:
    """The column as its one kind, or as it is where it is read as several, each of which it can be.

    Raises:
        InvalidInput: if it cannot be read as one of the kinds.
    """
    converted = [read_as(column, kind) for kind in sorted(kinds)]
    return converted[0] if len(converted) == 1 else column


def check_dimensions(query: Query, columns: Mapping[str, Column]) -> None:
    """Refuse a query vector that cannot be compared with the column of its name."""
    for name, vector in query.vectors.items():
        column = columns.get(name)
        if column is not None and column.kind is Kind.VECTOR and column.values.shape[1] != len(vector):
            raise InvalidInput(
                f"has {len(vector)} elements where the candidates' column has {column.values.shape[1]}",
                path=f'query.vectors["{name}"]',
            )
