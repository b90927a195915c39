"""What was shown and what people did, as Python has it, and its messages."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

from sluice.columns import float32
from sluice.errors import InvalidEvent
from sluice.request import Value, to_values
from sluice.v1 import feedback_pb2 as wire
from sluice.v1 import ranking_pb2 as pb

Time = datetime | float
"""A moment: a datetime (UTC where it names no zone), or seconds since 1970."""

DWELL_BY = {"client": wire.DWELL_BY_CLIENT, "server": wire.DWELL_BY_SERVER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """What a person did with one item of an answer.

    Attributes:
        request_id: of the answer (`Ranking.request_id`).
        candidate_id: the item.
        type: "CLICK", "DWELL", "SAVE", "CART", "PURCHASE", or a name of your own in lower case.
        event_id: sent twice, it counts once; "" = one is made, before the first attempt.
        time: when; None = now, by this machine's clock.
        dwell_s: seconds with the item; `dwell_by` says who measured them.
        value: a price, a rating.
        position: where the item stood, 1 = top of the page.
        user_id, session_id: who, where known.
    """

    request_id: str
    candidate_id: str
    type: str = "CLICK"
    event_id: str = ""
    time: Time | None = None
    dwell_s: float | None = None
    dwell_by: Literal["client", "server"] = "client"
    value: float | None = None
    position: int | None = None
    user_id: str = ""
    session_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Impression:
    """A page as one person saw it, where the service did not log it itself.

    Attributes:
        request_id: interactions name it.
        candidates: ids in shown order; `positions`: 1 = top of the page, None = 1, 2, 3 …
        query, values: what was asked; `user_id`, `session_id`, `user_values`: who asked.
        scores: along the candidates; `propensities`: how probable the policy made each item's place.
        features: rows along the candidates, columns named by `feature_names`, under a `fingerprint`.
        ranker, version, arm: what ranked it. `ranked`: how many candidates there were in all.
        teams: along the candidates, as an interleaved answer had them.
        event_id: "" = the request's id. `time`: None = now, by this machine's clock.
    """

    request_id: str
    candidates: Sequence[str]
    positions: Sequence[int] | None = None
    query: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)
    user_id: str = ""
    session_id: str = ""
    user_values: Mapping[str, Value] = field(default_factory=dict)
    scores: Sequence[float] | None = None
    propensities: Sequence[float] | None = None
    features: Any = None
    feature_names: Sequence[str] = ()
    fingerprint: str = ""
    ranker: str = ""
    version: str = ""
    arm: str = ""
    ranked: int = 0
    event_id: str = ""
    time: Time | None = None
    teams: Sequence[int] | None = None


Event = Interaction | Impression | Mapping[str, Any]
"""An event; as a dict it has the same keys, and is an impression if it has `candidates`."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event that cannot be right; sending it again is no use.

    Attributes:
        path: which event of its kind, and which field: `interactions[3].dwell_s`.
        event_id: as sent.
        reason: what is wrong.
    """

    path: str
    event_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of events: `accepted` are on the server's disk, `duplicate` were there before."""

    accepted: int
    duplicate: int
    rejected: tuple[Rejected, ...] = ()


def to_record(events: Iterable[Event], tenant: str, now: float) -> wire.RecordRequest:
    """The message of a batch. It is made once, so that a second attempt sends the same events.

    Raises:
        InvalidEvent: naming the event that cannot become a message; nothing was sent.
    """
    message = wire.RecordRequest(tenant=tenant)
    for position, event in enumerate(events):
        try:
            made = as_event(event)
            if isinstance(made, Impression):
                message.impressions.append(to_impression(made, now))
            else:
                message.interactions.append(to_interaction(made, now))
        except (TypeError, ValueError, AttributeError, KeyError, OverflowError) as error:
            raise InvalidEvent(f"events[{position}]: {error}") from None
    return message


def as_event(event: Event) -> Interaction | Impression:
    """A dict as the event it stands for."""
    if isinstance(event, Mapping):
        return Impression(**event) if "candidates" in event else Interaction(**event)
    return event


def to_interaction(event: Interaction, now: float) -> wire.Interaction:
    """The message of an interaction."""
    message = wire.Interaction(
        event_id=event.event_id or uuid4().hex,
        request_id=event.request_id,
        candidate_id=event.candidate_id,
        type=event.type,
        dwell_s=event.dwell_s,
        dwell_by=DWELL_BY[event.dwell_by] if event.dwell_s is not None else None,
        value=event.value,
        position=event.position,
        user_id=event.user_id,
        session_id=event.session_id,
    )
    set_time(message.time, event.time, now)
    return message


def to_impression(event: Impression, now: float) -> wire.Impression:
    """The message of an impression."""
    message = wire.Impression(
        event_id=event.event_id,
        request_id=event.request_id,
        ranker=event.ranker,
        version=event.version,
        query=pb.Query(text=event.query, values=to_values(event.values)),
        user=pb.User(id=event.user_id, session_id=event.session_id, values=to_values(event.user_values)),
        candidates=event.candidates,
        positions=event.positions,
        scores=event.scores,
        propensities=event.propensities,
        teams=event.teams,
        fingerprint=event.fingerprint,
        arm=event.arm,
        ranked=event.ranked,
    )
    if event.features is not None:
        rows = b"".join(map(float32, event.features))
        message.features.CopyFrom(pb.NumberMatrix(names=event.feature_names, data=rows))
    set_time(message.time, event.time, now)
    return message


def set_time(field_: Any, time: Time | None, now: float) -> None:
    """Write a moment into a message."""
    if isinstance(time, datetime):
        field_.FromDatetime((time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC))
        return
    field_.FromMicroseconds(round((now if time is None else time) * 1_000_000))


def to_recorded(message: wire.RecordResponse) -> Recorded:
    """What an answer says."""
    rejected = tuple(Rejected(each.path, each.event_id, each.reason) for each in message.rejected)
    return Recorded(message.accepted, message.duplicate, rejected)
