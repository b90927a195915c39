"""What the importers have in common: times, types, ids, and records that cannot be right."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from math import isfinite
from typing import Any, Literal, cast

import msgspec
import numpy as np

from cascade.events import CART, CLICK, DWELL, MICROS, PURCHASE, SAVE, TYPES, Impression, Interaction
from features.errors import InvalidInput

LONGEST_NAME = 63
EXAMPLES = 5

KNOWN = {
    "click": CLICK,
    "dwell": DWELL,
    "save": SAVE,
    "favourite": SAVE,
    "favorite": SAVE,
    "cart": CART,
    "add_to_cart": CART,
    "purchase": PURCHASE,
    "buy": PURCHASE,
}
"""How others call our types."""


@dataclass(slots=True)
class Problems:
    """Records that are no events.

    Attributes:
        strict: whether the first record that cannot be right ends the import.
        left_out: why → how many. `examples`: the first few messages.
    """

    strict: bool = True
    left_out: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    @contextmanager
    def at(self, where: str) -> Iterator[None]:
        """What is wrong with the record at a place (`file:line`), raised or counted.

        Raises:
            InvalidInput: naming the place and the field, if strict.
        """
        try:
            yield
        except (InvalidInput, msgspec.DecodeError) as error:
            message = f"{where}: {error}"
            if self.strict:
                raise InvalidInput(f"{error}; or leave such records out with --lenient", path=where) from None
            self.skip("wrong")
            if len(self.examples) < EXAMPLES:
                self.examples.append(message)

    def skip(self, why: str) -> None:
        """Leave out a record that is of no use here, though nothing is wrong with it."""
        self.left_out[why] += 1


def to_us(value: Any, path: str, unit_us: float = MICROS) -> int:
    """Microseconds since 1970 of a datetime, an ISO 8601 text, or a number in units of so many microseconds.

    Raises:
        InvalidInput: for what is none of them, or before 1970.
    """
    if isinstance(value, str):
        value = from_text(value, path)
    if isinstance(value, datetime):
        value, unit_us = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp(), MICROS
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise InvalidInput(f"{value!r} is no time: an ISO 8601 text, or a number since 1970", path=path)
    time_us = round(value * unit_us)
    if time_us >= 1 << 57:
        raise InvalidInput(f"{value!r} is after the year 6500; is the unit right?", path=path)
    return time_us


def from_text(value: str, path: str) -> float | datetime:
    """The number, or the moment, that a text writes."""
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise InvalidInput(f"{value!r} is no ISO 8601 time", path=path) from None


def to_type(value: Any, path: str) -> str:
    """Our type, or a name of ours for theirs: `Add to Cart` is CART, `View Detail` is `view_detail`."""
    if value in TYPES:
        return str(value)
    name = re.sub(r"[^a-z0-9_-]+", "_", text(value, path).lower()).strip("_-")[:LONGEST_NAME]
    if not name:
        raise InvalidInput(f"{value!r} is no type", path=path)
    return KNOWN.get(name, name)


def text(value: Any, path: str) -> str:
    """A text or a number that is used as a name; not empty."""
    if isinstance(value, str | int) and not isinstance(value, bool) and str(value):
        return str(value)
    raise InvalidInput(f"{value!r} is no name" if value else "is missing or empty", path=path)


def optional(value: Any) -> str:
    """The same where it may be missing."""
    return "" if value is None else str(value)


def number(value: Any, path: str) -> float | None:
    """A finite number, or None where there is none."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise InvalidInput(f"{value!r} is no number", path=path)
    return float(value)


def identity(record: Mapping[str, Any]) -> str:
    """An id made of a record's content."""
    data = msgspec.json.encode(record, order="deterministic")
    return blake2b(data, digest_size=12).hexdigest()


def distinct(ids: list[str], path: str) -> tuple[str, ...]:
    """Ids of a page, each once.

    Raises:
        InvalidInput: for none at all, or one that is there twice.
    """
    if not ids:
        raise InvalidInput("is empty: nothing was shown", path=path)
    if len(set(ids)) < len(ids):
        twice = next(name for name, count in Counter(ids).items() if count > 1)
        raise InvalidInput(f"{twice!r} is shown twice", path=path)
    return tuple(ids)


def impression(record: Mapping[str, Any], source: str) -> Impression:
    """An impression out of a record with our names; what is absent is unknown.

    Raises:
        InvalidInput: naming the field.
    """
    listed = record.get("candidates")
    if not isinstance(listed, list | tuple):
        raise InvalidInput("must be a list of ids", path="candidates")
    candidates = distinct([text(one, "candidates") for one in listed], "candidates")
    rows = len(candidates)
    request_id = text(record.get("request_id"), "request_id")
    names, features = to_features(record, rows)
    words: dict[str, Any] = {
        name: optional(record.get(name)) for name in ("ranker", "version", "query", "user", "session", "arm")
    }
    return Impression(
        event_id=optional(record.get("event_id")) or request_id,
        request_id=request_id,
        time_us=to_us(record.get("time"), "time"),
        candidates=candidates,
        positions=to_positions(record.get("positions"), rows),
        scores=to_floats(record.get("scores"), rows, "scores"),
        propensities=to_floats(record.get("propensities"), rows, "propensities"),
        features=features,
        names=names,
        fingerprint=optional(record.get("fingerprint")) or (source if names else ""),
        values=to_values(record.get("values")),
        teams=to_teams(record.get("teams"), rows),
        ranked=max(rows, int(number(record.get("ranked"), "ranked") or 0)),
        source=source,
        **words,
    )


def interaction(record: Mapping[str, Any], source: str) -> Interaction:
    """An interaction out of a record with our names.

    Raises:
        InvalidInput: naming the field.
    """
    position = number(record.get("position"), "position")
    by = optional(record.get("dwell_by"))
    if by not in ("", "client", "server"):
        raise InvalidInput(f"{by!r} is neither client nor server", path="dwell_by")
    return Interaction(
        event_id=optional(record.get("event_id")) or identity(dict(record)),
        request_id=text(record.get("request_id"), "request_id"),
        candidate_id=text(record.get("candidate_id"), "candidate_id"),
        type=to_type(record.get("type"), "type"),
        time_us=to_us(record.get("time"), "time"),
        dwell_s=number(record.get("dwell_s"), "dwell_s"),
        dwell_by=cast(Literal["", "client", "server"], by),
        value=number(record.get("value"), "value"),
        position=None if position is None else int(min(max(position, -1), 1 << 30)),
        user=optional(record.get("user")),
        session=optional(record.get("session")),
        source=source,
    )


def to_positions(values: Any, rows: int) -> tuple[int, ...]:
    """Positions along the candidates; none where there are none."""
    if not values:
        return ()
    positions = tuple(int(number(one, "positions") or 0) for one in values)
    rising = all(later > earlier for earlier, later in zip((0, *positions), positions, strict=False))
    if len(positions) != rows or not rising:
        raise InvalidInput(f"must be {rows} numbers that rise from 1", path="positions")
    return positions


def to_teams(values: Any, rows: int) -> tuple[int, ...]:
    """Who drafted each candidate of an interleaved page, -1 = nobody; none where it was not interleaved."""
    if values is None or not len(values):
        return ()
    teams = tuple(int(-1 if (team := number(one, "teams")) is None else team) for one in values)
    if len(teams) != rows or min(teams) < -1:
        raise InvalidInput(f"must be {rows} numbers from -1", path="teams")
    return teams


def to_floats(values: Any, rows: int, path: str) -> bytes:
    """float32 along the candidates; none where there are none."""
    if values is None or not len(values):
        return b""
    if len(values) != rows:
        raise InvalidInput(f"has {len(values)} rows for {rows} candidates", path=path)
    made = np.array([np.nan if one is None else number(one, path) for one in values], np.float64)
    return made.astype("<f4").tobytes()


def to_features(record: Mapping[str, Any], rows: int) -> tuple[tuple[str, ...], bytes]:
    """(names, float32 rows x names) out of a flat list, or a list a candidate."""
    values, names = record.get("features"), record.get("names")
    if isinstance(names, str):
        names = msgspec.json.decode(names or "[]")
    if values is None or not names:
        return (), b""
    flat = [one for row in values for one in (row if isinstance(row, list | tuple) else (row,))]
    return tuple(map(str, names)), to_floats(flat, rows * len(names), "features")


def to_values(values: Any) -> str:
    """Named values as JSON; a text is taken as JSON already."""
    if isinstance(values, str):
        return values
    return msgspec.json.encode(values, order="sorted").decode() if values else ""
