"""metarank's events, as its `/feedback` and its import files have them: an object a line, or arrays of them.

A `ranking` is an impression, its items' numeric fields are features; an `interaction` that names its
`ranking` is one of ours. `item` and `user` events describe, they are no behaviour: they are left out, and
counted.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from cascade.events import Event, Impression, Interaction
from features.errors import InvalidInput
from training.events.importers.fields import number, text, to_us
from training.events.importers.shared import Problems, impression, interaction
from training.files import at, raw_lines, text_of

SOURCE = "metarank"
MILLIS = 1_000.0
DESCRIBES = ("item", "metadata", "user")


def read(files: list[Path], renamed: Mapping[str, str], problems: Problems) -> Iterator[Event]:  # noqa: ARG001
    """The events of some files, plain or gzipped.

    Raises:
        InvalidInput: naming the line, for an event that cannot be right.
    """
    for file in files:
        for place, line in raw_lines(file):
            where = at(file, place)
            found: list[Any] = []
            with problems.at(where):
                found = objects(text_of(line, place))
            for record in found:
                with problems.at(where):
                    made = to_event(record, problems)
                    if made is not None:
                        yield made


def objects(line: str) -> list[Any]:
    """The events of a line, if they are any.

    Raises:
        InvalidInput: for what is not JSON.
    """
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput(f"not JSON: {error}") from None
    return found if isinstance(found, list) else [found]


def to_event(record: Any, problems: Problems) -> Event | None:
    """Our event; None for what describes items and users."""
    kind = record.get("event") if isinstance(record, dict) else None
    if kind == "ranking":
        return ranking(record)
    if kind == "interaction":
        return click(record, problems)
    if kind in DESCRIBES:
        problems.skip(f"{kind} events, which are no behaviour")
        return None
    raise InvalidInput(f"{kind!r} is none of metarank's events", path="event")


def ranking(record: dict[str, Any]) -> Impression:
    """An impression; the field `query`, where it is a text, is what was asked."""
    items = record.get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise InvalidInput("must be a list of objects", path="items")
    values = fields(record)
    asked = values.pop("query", "")
    numbers = [numeric(item) for item in items]
    names = sorted({name for each in numbers for name in each})
    return impression(
        {
            "request_id": record.get("id"),
            "time": to_us(record.get("timestamp"), "timestamp", MILLIS) / 1e6,
            "candidates": [item.get("id") for item in items],
            "query": asked if isinstance(asked, str) else "",
            "values": values,
            "user": record.get("user"),
            "session": record.get("session"),
            "names": names,
            "features": [[each.get(name) for name in names] for each in numbers],
        },
        SOURCE,
    )


def click(record: dict[str, Any], problems: Problems) -> Interaction | None:
    """An interaction; one that names no ranking cannot be joined to a page."""
    if record.get("ranking") is None:
        problems.skip("interactions without a ranking")
        return None
    return interaction(
        {
            "event_id": text(record.get("id"), "id"),
            "request_id": record["ranking"],
            "candidate_id": record.get("item"),
            "type": record.get("type"),
            "time": to_us(record.get("timestamp"), "timestamp", MILLIS) / 1e6,
            "user": record.get("user"),
            "session": record.get("session"),
        },
        SOURCE,
    )


def fields(record: dict[str, Any]) -> dict[str, Any]:
    """Name → value of an event's fields."""
    found = record.get("fields") or []
    if not isinstance(found, list) or not all(isinstance(one, dict) and "name" in one for one in found):
        raise InvalidInput("must be a list of objects with a name and a value", path="fields")
    return {str(one["name"]): one.get("value") for one in found}


def numeric(item: dict[str, Any]) -> dict[str, float | None]:
    """An item's numbers by name, its legacy `relevancy` among them; flags are 0 and 1."""
    values = {**fields(item), "relevancy": item.get("relevancy")}
    return {
        name: float(value) if isinstance(value, bool) else number(value, f"items.{name}")
        for name, value in values.items()
        if isinstance(value, bool | int | float)
    }
