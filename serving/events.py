"""Event messages into events: what is wrong with one is named by its path, and concerns that one alone."""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any, Literal

import msgspec
import numpy as np

from cascade.events import MICROS, TYPES, UNTIMED, Event, Impression, Interaction
from cascade.names import is_name
from features.batch import Value
from features.errors import InvalidInput, SluiceError
from serving.columns import check_length
from serving.convert import to_value
from serving.settings import Limits
from sluice.v1 import feedback_pb2 as pb

AHEAD_S = 3_600
"""How far a sender's clock may be ahead of ours; what is later than that is nonsense, not skew."""
LARGEST = (1 << 31) - 1
MOST_TEAMS = 1_000

BY: Mapping[int, Literal["client", "server"]] = {
    pb.DWELL_BY_UNSPECIFIED: "client",
    pb.DWELL_BY_CLIENT: "client",
    pb.DWELL_BY_SERVER: "server",
}


def to_events(
    message: pb.RecordRequest, limits: Limits, now_us: int
) -> tuple[list[Event], list[pb.Rejection]]:
    """The events that can be right, and a reason for each of the others.

    Raises:
        InvalidInput: for more events than one call may have.
    """
    sent = len(message.impressions) + len(message.interactions)
    if sent > limits.events:
        raise InvalidInput(f"has {sent} events, more than the {limits.events} allowed", path="interactions")
    events: list[Event] = []
    rejected: list[pb.Rejection] = []
    kinds: tuple[tuple[str, Any, Any], ...] = (
        ("impressions", message.impressions, to_impression),
        ("interactions", message.interactions, to_interaction),
    )
    for name, messages, read in kinds:
        for position, each in enumerate(messages):
            try:
                events.append(read(each, limits, now_us))
            except SluiceError as error:
                shown = each.event_id[:80]
                path = f"{name}[{position}].{error.path}"
                rejected.append(pb.Rejection(path=path, event_id=shown, reason=error.message))
    return events, rejected


def to_interaction(message: pb.Interaction, limits: Limits, now_us: int) -> Interaction:
    """What a person did.

    Raises:
        InvalidInput: naming the field.
    """
    return Interaction(
        event_id=name_in(message.event_id, "event_id", limits),
        request_id=name_in(message.request_id, "request_id", limits),
        candidate_id=name_in(message.candidate_id, "candidate_id", limits),
        type=to_type(message.type),
        time_us=to_time(message, now_us),
        dwell_s=to_dwell(message),
        dwell_by=to_dwell_by(message),
        value=finite(message.value, "value") if message.HasField("value") else None,
        position=to_position(message.position) if message.HasField("position") else None,
        user=short(message.user_id, "user_id", limits),
        session=short(message.session_id, "session_id", limits),
    )


def to_impression(message: pb.Impression, limits: Limits, now_us: int) -> Impression:
    """What was shown.

    Raises:
        InvalidInput: naming the field.
    """
    request_id = name_in(message.request_id, "request_id", limits)
    candidates = to_candidates(message.candidates, limits)
    rows = len(candidates)
    check_length(message.query.text, limits.query_bytes, "query.text")
    return Impression(
        event_id=short(message.event_id, "event_id", limits) or request_id,
        request_id=request_id,
        time_us=to_time(message, now_us),
        candidates=candidates,
        ranker=short(message.ranker, "ranker", limits),
        version=short(message.version, "version", limits),
        query=message.query.text,
        values=to_values(message, limits),
        user=short(message.user.id, "user.id", limits),
        session=short(message.user.session_id, "user.session_id", limits),
        positions=to_positions(message.positions, rows),
        scores=to_floats(message.scores, rows, "scores"),
        features=to_features(message, rows, limits),
        names=tuple(message.features.names),
        fingerprint=short(message.fingerprint, "fingerprint", limits),
        ranked=max(rows, min(message.ranked, LARGEST)),
        arm=short(message.arm, "arm", limits),
        propensities=to_propensities(message.propensities, rows),
        teams=to_teams(message.teams, rows),
    )


def name_in(text: str, path: str, limits: Limits) -> str:
    """An id that may not be empty."""
    if not text:
        raise InvalidInput("is empty", path=path)
    return short(text, path, limits)


def short(text: str, path: str, limits: Limits) -> str:
    """A text of no more than a name's bytes."""
    if 4 * len(text) > limits.name_bytes:
        check_length(text, limits.name_bytes, path)
    return text


def to_type(text: str) -> str:
    """An interaction's type."""
    if text in TYPES or is_name(text):
        return text
    raise InvalidInput(
        f"{text[:80]!r} is none of {', '.join(TYPES)}, and no name of yours (a-z, 0-9, '_', '-')", path="type"
    )


def to_time(message: pb.Interaction | pb.Impression, now_us: int) -> int:
    """Microseconds since 1970; `UNTIMED` where none was sent, for the log's writer to fill in."""
    if not message.HasField("time"):
        return UNTIMED
    time_us: int = message.time.seconds * MICROS + message.time.nanos // 1_000
    if not 0 <= time_us <= now_us + AHEAD_S * MICROS:
        raise InvalidInput("is before 1970, or more than an hour ahead of the server's clock", path="time")
    return time_us


def to_dwell(message: pb.Interaction) -> float | None:
    """Seconds, if there are any."""
    if not message.HasField("dwell_s"):
        return None
    if finite(message.dwell_s, "dwell_s") < 0:
        raise InvalidInput(f"is {message.dwell_s}; nobody stays for less than no time", path="dwell_s")
    return float(message.dwell_s)


def to_dwell_by(message: pb.Interaction) -> Literal["", "client", "server"]:
    """Who measured the dwell."""
    if message.dwell_by not in BY:
        raise InvalidInput(f"{message.dwell_by} is not known", path="dwell_by")
    return BY[message.dwell_by] if message.HasField("dwell_s") else ""


def finite(number: float, path: str) -> float:
    """The number itself, unless it is none."""
    if not isfinite(number):
        raise InvalidInput("a number must be finite; leave a missing one out", path=path)
    return float(number)


def to_position(position: int) -> int:
    """1 = top of the page."""
    if not 1 <= position <= LARGEST:
        raise InvalidInput(f"is {position}; the top of the page is 1", path="position")
    return position


def to_candidates(sent: Iterable[str], limits: Limits) -> tuple[str, ...]:
    """The ids of a page."""
    ids = tuple(sent)
    if not 1 <= len(ids) <= limits.candidates:
        raise InvalidInput(f"has {len(ids)} items; 1 to {limits.candidates} are allowed", path="candidates")
    if sum(map(len, ids)) > limits.event_bytes:
        raise InvalidInput(f"has more than the {limits.event_bytes} bytes allowed", path="candidates")
    seen: set[str] = set()
    for row, one in enumerate(ids):
        if name_in(one, f"candidates[{row}]", limits) in seen:
            raise InvalidInput(f"{one[:80]!r} is shown twice", path=f"candidates[{row}]")
        seen.add(one)
    return ids


def to_values(message: pb.Impression, limits: Limits) -> str:
    """Named values of query and user as JSON."""
    if message.query.vectors:
        raise InvalidInput("vectors are not kept in the log; leave them out", path="query.vectors")
    values = {name: to_value(each, f'query.values["{name}"]') for name, each in message.query.values.items()}
    values |= {
        f"user.{name}": to_value(each, f'user.values["{name}"]') for name, each in message.user.values.items()
    }
    text = values_json(values)
    check_length(text, limits.query_bytes, "query.values")
    return text


def values_json(values: Mapping[str, Value]) -> str:
    """Named values as one JSON object with its keys in order; "" for none."""
    return msgspec.json.encode(dict(sorted(values.items()))).decode() if values else ""


def to_positions(sent: Iterable[int], rows: int) -> tuple[int, ...]:
    """Positions along the candidates, or none."""
    positions = tuple(sent)
    check_rows(len(positions), rows, "positions")
    if any(later <= earlier for earlier, later in zip((0, *positions), positions, strict=False)):
        raise InvalidInput("must rise from 1", path="positions")
    if positions and positions[-1] > LARGEST:
        raise InvalidInput(f"goes beyond {LARGEST}", path="positions")
    return positions


def to_floats(sent: Iterable[float], rows: int, path: str) -> bytes:
    """float32 along the candidates, or none; NaN is unknown."""
    values = np.array(sent, "<f4")
    check_rows(len(values), rows, path)
    if np.isinf(values).any():
        raise InvalidInput("a number must be finite (NaN means unknown)", path=path)
    return values.tobytes()


def to_propensities(sent: Iterable[float], rows: int) -> bytes:
    """Probabilities along the candidates, or none."""
    values = np.array(sent, "<f4")
    check_rows(len(values), rows, "propensities")
    if not ((values > 0) & (values <= 1)).all():
        raise InvalidInput("must be above 0 and at most 1", path="propensities")
    return values.tobytes()


def to_features(message: pb.Impression, rows: int, limits: Limits) -> bytes:
    """float32 rows x names, as sent."""
    names, data = message.features.names, message.features.data
    if not names and not data:
        return b""
    if not message.fingerprint:
        raise InvalidInput("is empty; it says which features these are", path="fingerprint")
    if len(data) > limits.event_bytes:
        raise InvalidInput(
            f"has {len(data)} bytes, more than the {limits.event_bytes} allowed", path="features.data"
        )
    if not 1 <= len(set(names)) == len(names) <= limits.columns:
        raise InvalidInput(f"must be 1 to {limits.columns} names, each once", path="features.names")
    for position, name in enumerate(names):
        name_in(name, f"features.names[{position}]", limits)
    if len(data) != 4 * rows * len(names):
        wanted = f"{rows} rows x {len(names)} columns x 4 bytes = {4 * rows * len(names)}"
        raise InvalidInput(f"has {len(data)} bytes for {wanted}", path="features.data")
    if np.isinf(np.frombuffer(data, "<f4")).any():
        raise InvalidInput("a number must be finite (NaN means missing)", path="features.data")
    return data


def to_teams(sent: Iterable[int], rows: int) -> tuple[int, ...]:
    """Who drafted each item; -1 = nobody."""
    values = tuple(sent)
    check_rows(len(values), rows, "teams")
    if values and not -1 <= min(values) <= max(values) <= MOST_TEAMS:
        raise InvalidInput(f"must be -1 to {MOST_TEAMS}", path="teams")
    return values


def check_rows(found: int, rows: int, path: str) -> None:
    """Refuse a list that is there, and longer or shorter than the candidates."""
    if found not in (0, rows):
        raise InvalidInput(f"has {found} rows for {rows} candidates", path=path)
