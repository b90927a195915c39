"""The events of a tenant in the order in which they arrived, from where a reader stands.

Order of arrival is that of a writer's segments one behind the other; an event's number is `tables.ARRIVAL`.
Segments are read while they grow. What was compacted before the reader came to it is read from Parquet, which
keeps the number (`history.py`). Where several processes write one tenant's log, the events of each are in
order, and those of different ones by the beginning of their segments.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from cascade.eventlog.codec import decode_frame
from cascade.eventlog.frames import Passed, placed
from cascade.eventlog.layout import first_arrival, segments
from cascade.eventlog.segment import is_sealed
from cascade.events import Event


class Arrived(NamedTuple):
    """An event with its place in the order of arrival."""

    arrival: int
    event: Event


class Read(msgspec.Struct, frozen=True, array_like=True):
    """How far a segment has been read: bytes and events; `over` = it was sealed by then, and read to its
    end."""

    offset: int = 0
    events: int = 0
    over: bool = False


Position = dict[str, Read]
"""Stem of a segment → how far it has been read; segments that are gone and were read to the end are left
out."""


@dataclass(frozen=True, slots=True)
class Tail:
    """What came since: events in order, where the reader stands now, and from which arrival it missed some.

    Attributes:
        missed: a segment went into Parquet before it was read to the end: events from this arrival on are
            to be read there (`history.compacted`). None = nothing was missed.
    """

    events: list[Arrived]
    position: Position
    missed: int | None


def tail(home: Path, position: Position, most: int) -> Tail:
    """The next events of a tenant's segments: whole frames, until there are at least `most`.

    None where some were missed: those come first.
    """
    there = {path.stem: path for path in segments(home)}
    gone = [stem for stem, read in position.items() if stem not in there and not read.over]
    missed = [at + position[stem].events for stem in gone if (at := arrival_of(stem)) is not None]
    now = {stem: read for stem, read in position.items() if stem in there}
    if missed:
        return Tail([], now, min(missed))
    events: list[Arrived] = []
    for stem, path in there.items():
        if len(events) >= most:
            break
        found, now[stem] = further(path, now.get(stem, Read()), most - len(events))
        events += found
    return Tail(events, now, None)


def arrival_of(stem: str) -> int | None:
    """The arrival of a segment's first event."""
    return first_arrival(Path(f"{stem}.seg"))


def further(path: Path, read: Read, most: int) -> tuple[list[Arrived], Read]:
    """The next events of one segment, and how far it is read then."""
    if read.over:
        return [], read
    try:
        sealed = is_sealed(path)  # asked first: what a writer appends in between is found below
        with path.open("rb") as file:
            file.seek(read.offset)
            data = file.read()
    except FileNotFoundError:
        return [], read
    first, end = (first_arrival(path) or 0) + read.events, 0
    events: list[Arrived] = []
    for payload, end in placed(data, Passed()):  # noqa: B007 (where the last whole frame ends)
        group = decode_frame(payload, path)
        events += [Arrived(first + len(events) + at, event) for at, event in enumerate(group)]
        if len(events) >= most:
            sealed = False
            break
    return events, Read(read.offset + end, read.events + len(events), sealed)
