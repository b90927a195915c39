"""OpenSearch (and Elasticsearch) User Behavior Insights: `ubi_queries` and `ubi_events`, an object a line.

A query with the objects it answered is an impression. Where it names none, its `impression` events do, by
their ordinals: those queries are held in memory until the files end. Lines may be search hits (`_source`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cascade.events import Event, Interaction
from features.errors import InvalidInput
from training.events.importers.fields import listed, number, optional, text
from training.events.importers.shared import Problems, identity, impression, interaction
from training.files import at, raw_lines, text_of
from training.records import parsed

SOURCE = "ubi"
ANSWERED = ("query_response_objects_ids", "query_response_object_ids", "query_response_hit_ids")
SEEN = "impression"


@dataclass(slots=True)
class Partial:
    """A query that names no objects, and the ones that were seen."""

    query: dict[str, Any] = field(default_factory=dict)
    seen: dict[int, str] = field(default_factory=dict)


def read(files: list[Path], renamed: Mapping[str, str], problems: Problems) -> Iterator[Event]:  # noqa: ARG001
    """The events of some files, queries and events in any order.

    Raises:
        InvalidInput: naming the line, for a record that cannot be right.
    """
    partial: dict[str, Partial] = {}
    for file in files:
        for place, line in raw_lines(file):
            with problems.at(at(file, place)):
                record = parsed(text_of(line, place))
                made = to_event(record.get("_source", record), partial, problems)
                if made is not None:
                    yield made
    for query_id, each in partial.items():
        if each.query and each.seen:
            ids = [each.seen[place] for place in sorted(each.seen)]
            with problems.at(f"query {query_id}"):
                yield page(each.query, ids, sorted(each.seen))
        else:
            problems.skip("queries without objects" if each.query else "impressions without a query")


def to_event(record: Any, partial: dict[str, Partial], problems: Problems) -> Event | None:
    """Our event; None for what is held back, or of no use."""
    if not isinstance(record, dict) or not record.get("query_id"):
        problems.skip("records without a query_id")
        return None
    query_id = text(record["query_id"], "query_id")
    if "action_name" not in record:
        answered = next((record[name] for name in ANSWERED if record.get(name)), None)
        if answered:
            return page(record, [text(one, ANSWERED[0]) for one in listed(answered, ANSWERED[0])], ())
        partial.setdefault(query_id, Partial()).query = record
        return None
    if record["action_name"] == SEEN:
        place, name = ordinal(record), object_id(record)
        if place and name:
            partial.setdefault(query_id, Partial()).seen.setdefault(place, name)
        return None
    return click(record, problems)


def page(record: dict[str, Any], ids: list[str], positions: Any) -> Event:
    """An impression; objects that are there twice count where they come first."""
    places = dict(zip(reversed(ids), reversed(range(len(ids))), strict=True))
    first = sorted(places.values())
    return impression(
        {
            "request_id": record["query_id"],
            "time": record.get("timestamp"),
            "candidates": [ids[place] for place in first],
            "positions": [positions[place] for place in first] if positions else None,
            "query": record.get("user_query") if isinstance(record.get("user_query"), str) else "",
            "values": record.get("query_attributes"),
            "user": record.get("client_id"),
            "session": record.get("session_id"),
        },
        SOURCE,
    )


def click(record: dict[str, Any], problems: Problems) -> Interaction | None:
    """An interaction; one with no object (a search, a filter) is left out."""
    name = object_id(record)
    if not name:
        problems.skip("events without an object")
        return None
    place = ordinal(record)
    return interaction(
        {
            "event_id": optional(record.get("event_id"), "event_id") or identity(record),
            "request_id": record["query_id"],
            "candidate_id": name,
            "type": record["action_name"],
            "time": record.get("timestamp"),
            "position": place if place and place > 0 else None,
            "user": record.get("client_id"),
            "session": record.get("session_id"),
        },
        SOURCE,
    )


def attributes(record: dict[str, Any], name: str) -> dict[str, Any]:
    """A part of `event_attributes`."""
    found: Any = record
    for part in ("event_attributes", name):
        found = found.get(part) or {}
        if not isinstance(found, dict):
            where = part if part != name else f"event_attributes.{name}"
            raise InvalidInput("must be an object", path=where)
    return dict(found)


def object_id(record: dict[str, Any]) -> str:
    """The object of an event: as the application calls it, or else as the engine does."""
    found = attributes(record, "object")
    return optional(found.get("object_id") or found.get("internal_id"), "event_attributes.object")


def ordinal(record: dict[str, Any]) -> int | None:
    """Where the object stood."""
    place = number(attributes(record, "position").get("ordinal"), "event_attributes.position.ordinal")
    return None if place is None else int(place)
