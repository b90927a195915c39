"""What the importers have in common: records with our names into events, and records that cannot be right."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Literal, cast

import msgspec
import numpy as np

from cascade.events import Impression, Interaction
from features.errors import InvalidInput
from training.events.importers.fields import (
    LARGEST,
    LONGEST_TEXT,
    listed,
    number,
    optional,
    text,
    to_type,
    to_us,
    whole,
)

EXAMPLES = 5
EVENT_BYTES = 4 << 20
"""Of the ids of one page, and of its features."""
MOST_TEAMS = 1_000


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


def identity(record: Mapping[str, Any]) -> str:
    """An id made of a record's content."""
    data = msgspec.json.encode(record, order="deterministic")
    return blake2b(data, digest_size=12).hexdigest()


def distinct(ids: list[str], path: str) -> tuple[str, ...]:
    """Ids of a page, each once.

    Raises:
        InvalidInput: for none at all, one that is there twice, or more than a page can have.
    """
    if not ids:
        raise InvalidInput("is empty: nothing was shown", path=path)
    if sum(map(len, ids)) > EVENT_BYTES:
        raise InvalidInput(f"has more than the {EVENT_BYTES} characters allowed", path=path)
    if len(set(ids)) < len(ids):
        twice = next(name for name, count in Counter(ids).items() if count > 1)
        raise InvalidInput(f"{twice[:80]!r} is shown twice", path=path)
    return tuple(ids)


def impression(record: Mapping[str, Any], source: str) -> Impression:
    """An impression out of a record with our names; what is absent is unknown.

    Raises:
        InvalidInput: naming the field.
    """
    candidates = distinct(
        [text(one, "candidates") for one in listed(record.get("candidates"), "candidates")], "candidates"
    )
    rows = len(candidates)
    request_id = text(record.get("request_id"), "request_id")
    names, features = to_features(record, rows)
    words: dict[str, Any] = {
        name: optional(record.get(name), name)
        for name in ("ranker", "version", "query", "user", "session", "arm")
    }
    return Impression(
        event_id=optional(record.get("event_id"), "event_id") or request_id,
        request_id=request_id,
        time_us=to_us(record.get("time"), "time"),
        candidates=candidates,
        positions=to_positions(record.get("positions"), rows),
        scores=to_floats(record.get("scores"), rows, "scores"),
        propensities=to_propensities(record.get("propensities"), rows),
        features=features,
        names=names,
        fingerprint=optional(record.get("fingerprint"), "fingerprint") or (source if names else ""),
        values=to_values(record.get("values")),
        teams=to_teams(record.get("teams"), rows),
        ranked=max(rows, int(min(number(record.get("ranked"), "ranked") or 0, LARGEST))),
        source=source,
        **words,
    )


def interaction(record: Mapping[str, Any], source: str) -> Interaction:
    """An interaction out of a record with our names.

    Raises:
        InvalidInput: naming the field.
    """
    position = number(record.get("position"), "position")
    by = optional(record.get("dwell_by"), "dwell_by")
    if by not in ("", "client", "server"):
        raise InvalidInput(f"{by[:80]!r} is neither client nor server", path="dwell_by")
    return Interaction(
        event_id=optional(record.get("event_id"), "event_id") or identity(dict(record)),
        request_id=text(record.get("request_id"), "request_id"),
        candidate_id=text(record.get("candidate_id"), "candidate_id"),
        type=to_type(record.get("type"), "type"),
        time_us=to_us(record.get("time"), "time"),
        dwell_s=number(record.get("dwell_s"), "dwell_s"),
        dwell_by=cast(Literal["", "client", "server"], by),
        value=number(record.get("value"), "value"),
        position=None if position is None else int(min(max(position, -1), 1 << 30)),
        user=optional(record.get("user"), "user"),
        session=optional(record.get("session"), "session"),
        source=source,
    )


def to_positions(values: Any, rows: int) -> tuple[int, ...]:
    """Positions along the candidates; none where there are none."""
    positions = tuple(whole(one, "positions", 1, LARGEST) for one in listed(values, "positions"))
    rising = all(later > earlier for earlier, later in pairwise(positions))
    if len(positions) not in (0, rows) or not rising:
        raise InvalidInput(f"must be {rows} numbers that rise from 1", path="positions")
    return positions


def to_teams(values: Any, rows: int) -> tuple[int, ...]:
    """Who drafted each candidate of an interleaved page, -1 = nobody; none where it was not interleaved."""
    sent = listed(values, "teams")
    if len(sent) not in (0, rows):
        raise InvalidInput(f"must be {rows} numbers from -1", path="teams")
    return tuple(-1 if one is None else whole(one, "teams", -1, MOST_TEAMS) for one in sent)


def to_floats(values: Any, rows: int, path: str) -> bytes:
    """float32 along the candidates; none where there are none."""
    sent = listed(values, path)
    if not sent:
        return b""
    if len(sent) != rows:
        raise InvalidInput(f"has {len(sent)} rows for {rows} candidates", path=path)
    made = np.array([np.nan if one is None else number(one, path) for one in sent], np.float64)
    if (np.abs(made) > np.finfo(np.float32).max).any():
        raise InvalidInput("holds a number that is too large for float32", path=path)
    return made.astype("<f4").tobytes()


def to_propensities(values: Any, rows: int) -> bytes:
    """Probabilities along the candidates; none where there are none."""
    data = to_floats(values, rows, "propensities")
    made = np.frombuffer(data, "<f4")
    if ((made <= 0) | (made > 1)).any():
        raise InvalidInput("must be above 0 and at most 1", path="propensities")
    return data


def to_features(record: Mapping[str, Any], rows: int) -> tuple[tuple[str, ...], bytes]:
    """(names, float32 rows x names) out of a flat list, or a list a candidate."""
    sent = record.get("names")
    names = [text(one, "names") for one in listed(from_json(sent, "names") or None, "names")]
    values = listed(record.get("features"), "features")
    if not values or not names:
        return (), b""
    if len(set(names)) < len(names):
        raise InvalidInput("names a feature twice", path="names")
    flat = [one for row in values for one in (row if isinstance(row, list | tuple) else (row,))]
    if 4 * len(flat) > EVENT_BYTES:
        raise InvalidInput(f"has {4 * len(flat)} bytes, more than the {EVENT_BYTES} allowed", path="features")
    return tuple(names), to_floats(flat, rows * len(names), "features")


def to_values(values: Any) -> str:
    """Named values as JSON; a text is taken as JSON already."""
    found = from_json(values, "values") or {}
    if not isinstance(found, dict):
        raise InvalidInput("must be an object of named values", path="values")
    written = msgspec.json.encode(found, order="sorted").decode() if found else ""
    if len(written) > LONGEST_TEXT:
        raise InvalidInput(f"has more than the {LONGEST_TEXT} characters allowed", path="values")
    return values if isinstance(values, str) else written


def from_json(value: Any, path: str) -> Any:
    """What a text of JSON says; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value) if value else None
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput(f"not JSON: {error}", path=path) from None
