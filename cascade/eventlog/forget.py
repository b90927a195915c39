"""Takes a person out of a tenant's log: what they were shown, and what they did."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from cascade.eventlog.compact import born, merge, nothing, span, sweep
from cascade.eventlog.layout import IMPRESSIONS, KINDS, changing, counting, days, segments
from cascade.eventlog.read import of_file, scan
from cascade.eventlog.segment import is_sealed
from cascade.eventlog.writer import ask
from features.errors import Unavailable

POLL_S = 0.1


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed.

    Attributes:
        impressions, interactions: records of the person, interactions on their pages included.
        files: Parquet files that were written anew without them.
        first_us, last_us: the time of their first and last record; 0 where there was none.
    """

    impressions: int = 0
    interactions: int = 0
    files: int = 0
    first_us: int = 0
    last_us: int = 0


def forget(
    home: Path, user: str, *, patience_s: float = 30.0, sleep: Callable[[float], None] = time.sleep
) -> Forgotten:
    """Remove a user's impressions, the interactions on them, and those that name the user.

    Servers that write are asked to begin new segments first, so that none of the old ones stays out of reach.
    What arrives afterwards is not looked at: stop sending before you forget, or run it again.

    Raises:
        Unavailable: if a process still holds an old segment when patience ends; nothing was removed.
    """
    await_sealed(home, patience_s, sleep)
    with changing(home):
        sweep(home)
        born(home, nothing)
    pages = pages_of(home, user)
    with changing(home):
        return erased(home, user, pages)


def await_sealed(home: Path, patience_s: float, sleep: Callable[[float], None]) -> None:
    """Wait until every segment that is there now is sealed."""
    ask(home)
    there = segments(home)
    for _ in range(int(patience_s / POLL_S) + 1):
        there = [path for path in there if path.exists() and not is_sealed(path)]
        if not there:
            return
        sleep(POLL_S)
    raise Unavailable(f"a server still writes to {there[0].name}; nothing was removed, try again")


def pages_of(home: Path, user: str) -> pa.Array:
    """The request ids of a user's impressions, each once."""
    found = [
        table.filter(pc.equal(table["user"], user))["request_id"].combine_chunks()
        for table in scan(home, IMPRESSIONS, columns=("request_id", "user"))
    ]
    return pc.unique(pa.chunked_array(found, pa.string()))


def erased(home: Path, user: str, pages: pa.Array) -> Forgotten:
    """The files of all days without the person."""
    living = frozenset(path.stem for path in segments(home))
    removed: dict[str, int] = dict.fromkeys(KINDS, 0)
    spans: list[tuple[int, int]] = []
    files = 0
    for kind in KINDS:
        for folder in days(home, kind):
            for file in counting(folder, living):
                theirs = concerned(file, kind, user, pages)
                if len(theirs):
                    removed[kind] += len(theirs)
                    files += 1
                    spans.append(span(theirs))
                    merge(
                        folder,
                        [file],
                        nothing,
                        lambda table: table.filter(pc.invert(is_theirs(table, user, pages))),
                    )
    first = min((start for start, _ in spans), default=0)
    return Forgotten(
        files=files, first_us=first, last_us=max((end for _, end in spans), default=0), **removed
    )


def concerned(file: Path, kind: str, user: str, pages: pa.Array) -> pa.Table:
    """The person's records in a file."""
    names = ["event_id", "request_id", "time", "user"]
    return pa.concat_tables(
        [table.filter(is_theirs(table, user, pages)) for table in of_file(file, kind, names)]
    )


def is_theirs(table: pa.Table, user: str, pages: pa.Array) -> pa.ChunkedArray:
    """bool[n]: records that name the person, or that are of a page of theirs."""
    named = pc.fill_null(pc.equal(table["user"], user), False)
    return pc.or_(named, pc.is_in(table["request_id"], value_set=pages))
