"""What features would have been at the moment of each impression, out of the log alone.

The log is gone through in order of arrival with the very functions that serving uses. An impression logged
by a server says how much of the log its profiles had seen (`AS_OF`); its features are computed when exactly
that much has been learned, and so come out to the bit as they were logged. An impression that does not say
it is computed from all that arrived before it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from cascade.eventlog.arrivals import Arrived
from cascade.events import MICROS, Impression
from cascade.profiles.context import read_context
from cascade.profiles.join import NOW, Wanted, look_up
from cascade.profiles.learn import learn_all
from cascade.profiles.memory import MemoryProfiles
from cascade.profiles.rules import Rules
from features.batch import CandidateBatch, Query, Value, single
from features.behaviour import AS_OF

TENANT = "replay"
BATCH = 256


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """An impression with the batch of its shown items as profiles stood then: behaviour columns, and the
    fields and vectors that were logged with it."""

    impression: Impression
    batch: CandidateBatch


def replay(source: Callable[[], Iterator[Arrived]], wanted: Wanted, rules: Rules) -> Iterator[Moment]:
    """Every impression of a log, in the order of what they had seen.

    Args:
        source: the log in order of arrival, from the beginning; it is gone through twice.
        wanted: the statistics to join.
    """
    due = sorted(
        (
            (as_of(one.event, one.arrival), one.arrival, one.event)
            for one in source()
            if isinstance(one.event, Impression)
        ),
        key=lambda each: each[:2],
    )
    store, at = MemoryProfiles(), 0
    waiting: list[Arrived] = []
    for one in source():
        while at < len(due) and due[at][0] < one.arrival:
            learn_all(store, TENANT, waiting, rules)
            waiting = []
            yield moment(store, due[at][2], wanted, rules)
            at += 1
        waiting.append(one)
        if len(waiting) >= BATCH:
            learn_all(store, TENANT, waiting, rules)
            waiting = []
    learn_all(store, TENANT, waiting, rules)
    for _, _, event in due[at:]:
        yield moment(store, event, wanted, rules)


def as_of(event: Impression, arrival: int) -> int:
    """The arrival of the last event that counts for an impression."""
    found = values_of(event).get(AS_OF)
    return int(found) if isinstance(found, int | float) else arrival - 1


def moment(store: MemoryProfiles, event: Impression, wanted: Wanted, rules: Rules) -> Moment:
    """An impression with its columns as the store stands."""
    return Moment(event, look_up(store, TENANT, shown_batch(event), wanted, rules))


def shown_batch(event: Impression) -> CandidateBatch:
    """The shown items of an impression as a server had them, as far as the log tells."""
    values: dict[str, Value] = {NOW: event.time_us / MICROS}
    values |= {name: tuple(v) if isinstance(v, list) else v for name, v in values_of(event).items()}
    values |= {
        name: text for name, text in (("user.id", event.user), ("user.session_id", event.session)) if text
    }
    columns = read_context(event.context).columns(len(event.candidates))
    return single(Query(event.query, values, id=event.request_id), list(event.candidates), columns)


def values_of(event: Impression) -> Mapping[str, Any]:
    """The named values of an impression."""
    if not event.values:
        return {}
    found = msgspec.json.decode(event.values)
    return found if isinstance(found, dict) else {}
