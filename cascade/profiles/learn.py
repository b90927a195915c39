"""Events into profiles: pure, in order of arrival, each event once.

An impression counts for every item that it showed; an interaction counts for its item as that page showed it.
The same events in the same order give the same bytes, however they were cut into batches.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from types import MappingProxyType

from cascade.eventlog.arrivals import Arrived
from cascade.events import DWELL, MICROS, Impression, Interaction
from cascade.profiles.book import MARK_BYTES, Book, read_early, ttl_of
from cascade.profiles.context import read_context
from cascade.profiles.keys import DONE, EARLY, ITEM, OF_OWNER, PAGE, TOTALS, key_of, query_name
from cascade.profiles.owner import moved
from cascade.profiles.page import Page, decode, page_of
from cascade.profiles.rules import SIGNAL_OF, Rules
from cascade.profiles.store import Changes, Key, ProfileStore, Values
from cascade.profiles.tally import Amounts
from features.columns import Floats

SHOWN: Amounts = {"impression": 1.0}
NOTHING: Changes = MappingProxyType({})


def owners_of(shown: Page, user: str = "", session: str = "") -> dict[str, str]:
    """Kind of owner → name, for those that are known; the impression's own win."""
    named = {
        "user": shown.user or user,
        "session": shown.session or session,
        "query": query_name(shown.query),
    }
    return {kind: name for kind, name in named.items() if name}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch of events will touch.

    Attributes:
        keys: all that may change.
        found: the keys it was planned by, with what was there; if that has changed, the plan is void.
    """

    keys: tuple[Key, ...]
    found: Mapping[Key, bytes | None]


def plan(store: ProfileStore, tenant: str, events: Sequence[Arrived], expected: Changes) -> Plan:
    """The plan of a batch; `expected` are further keys that have to be as they were."""
    ids = dict.fromkeys(one.event.request_id for one in events)
    asked = [key_of(kind, one) for one in ids for kind in (PAGE, EARLY)]
    found = dict(zip(asked, store.read(tenant, asked), strict=True))
    found |= {key: entry.value if entry else None for key, entry in expected.items()}
    pages = {one: pages_of(one, events, found) for one in ids}
    keys: dict[Key, None] = dict.fromkeys((TOTALS, *found))
    keys |= dict.fromkeys(key_of(DONE, one) for one in ids)
    for shown in (page for several in pages.values() for page in several):
        keys |= dict.fromkeys(key_of(ITEM, item) for item in shown.candidates)
        keys |= dict.fromkeys(owner_keys(shown))
    for event in (*interactions_of(events), *parked_of(ids, found)):
        for shown in pages[event.request_id]:
            keys |= dict.fromkeys(owner_keys(shown, event.user, event.session))
    return Plan(tuple(keys), found)


def pages_of(request_id: str, events: Sequence[Arrived], found: Mapping[Key, bytes | None]) -> list[Page]:
    """The page that a store has of a request, or those that the events bring."""
    stored = found[key_of(PAGE, request_id)]
    if stored:
        return [decode(stored)]
    shown = (one.event for one in events if one.event.request_id == request_id)
    return [page_of(event) for event in shown if isinstance(event, Impression)]


def interactions_of(events: Sequence[Arrived]) -> list[Interaction]:
    """The interactions among events."""
    return [one.event for one in events if isinstance(one.event, Interaction)]


def parked_of(ids: Iterable[str], found: Mapping[Key, bytes | None]) -> list[Interaction]:
    """The interactions that wait for the pages of some requests."""
    return [event for one in ids for event in read_early(found[key_of(EARLY, one)])]


def owner_keys(shown: Page, user: str = "", session: str = "") -> list[Key]:
    """Keys of a page's owners."""
    found = owners_of(shown, user, session)
    return [key_of(OF_OWNER[kind], name) for kind, name in found.items()]


def learn(book: Book, one: Arrived) -> None:
    """One event."""
    event = one.event
    if isinstance(event, Impression):
        seen(book, event)
    else:
        shown = book.page(event.request_id)
        if shown is None:
            book.park(event)
        else:
            done(book, shown, event)
    book.arrived(one.arrival)


def seen(book: Book, event: Impression) -> None:
    """Count an impression and what had been waiting for it; one that is known already counts no more."""
    if book.page(event.request_id) is not None:
        return
    shown = page_of(event)
    book.keep_page(event.request_id, shown)
    context = read_context(shown.context)
    book.count(shown.time_us, {"impression": float(len(shown.candidates))})
    for row, item in enumerate(shown.candidates):
        book.count_item(item, shown.time_us, SHOWN)
        credit(book, owners_of(shown), item, context.values(row), shown.time_us, SHOWN)
    for early in book.parked(event.request_id):
        done(book, shown, early)


def done(book: Book, shown: Page, event: Interaction) -> None:
    """Count an interaction, unless it counted before or cannot be of this page."""
    rules = book.rules
    after_us = event.time_us - shown.time_us
    if event.candidate_id not in shown.candidates:
        return
    if not -rules.skew_s * MICROS <= after_us <= rules.late_s * MICROS:
        return
    if book.is_done(event.request_id, mark_of(event), shown.time_us + rules.page_us):
        return
    at_us = max(event.time_us, shown.time_us)
    amounts = amounts_of(event, rules)
    row = shown.candidates.index(event.candidate_id)
    context = read_context(shown.context)
    owners = owners_of(shown, event.user, event.session)
    book.count(at_us, amounts)
    book.count_item(event.candidate_id, at_us, amounts)
    credit(book, owners, event.candidate_id, context.values(row), at_us, amounts)
    if amounts["engagement"] > 0:
        liked = {name: context.vector(name, row, len(shown.candidates)) for name in context.vectors}
        follow(book, owners, liked, at_us, amounts["engagement"])


def credit(
    book: Book,
    owners: Mapping[str, str],
    item: str,
    values: Mapping[str, tuple[str, ...]],
    at_us: int,
    amounts: Amounts,
) -> None:
    """Count an item with its field values for every owner."""
    for kind, name in owners.items():
        profile = book.owner(kind, name, at_us)
        profile.count(item, values, at_us, amounts, book.rules, ttl_of(kind, book.rules))


def follow(
    book: Book, owners: Mapping[str, str], liked: Mapping[str, Floats | None], at_us: int, amount: float
) -> None:
    """Move the vectors of user and session towards what was liked; a query has none of its own."""
    rules = book.rules
    for kind in (kind for kind in owners if kind != "query"):
        profile = book.owner(kind, owners[kind], at_us)
        for name, vector in liked.items():
            if vector is not None and len(vector) <= rules.vector_dimension:
                profile.vectors[name] = moved(profile.vectors.get(name), vector, at_us, amount, rules)


def amounts_of(event: Interaction, rules: Rules) -> dict[str, float]:
    """What an interaction adds: 1 to its signal, minutes to `dwell`, and its weight to `engagement`."""
    minutes = dwell_minutes(event.dwell_s, rules)
    signal = SIGNAL_OF.get(event.type, "other")
    own = 0.0 if event.type == DWELL else getattr(rules.weights, signal)
    amounts = {"dwell": minutes, "engagement": own + rules.weights.dwell * math.log2(1.0 + minutes)}
    if event.type != DWELL:
        amounts[signal] = 1.0
    return amounts


def dwell_minutes(dwell_s: float | None, rules: Rules) -> float:
    """A dwell in minutes: capped, and 0 where it was not measured or cannot be right."""
    if dwell_s is None or not dwell_s > 0.0:
        return 0.0
    return min(dwell_s, rules.dwell_cap_s) / 60.0


def mark_of(event: Interaction) -> bytes:
    """8 bytes that tell an interaction from the others of its page."""
    return blake2b(event.event_id.encode("utf-8", "surrogatepass"), digest_size=MARK_BYTES).digest()


def learn_all(
    store: ProfileStore,
    tenant: str,
    events: Sequence[Arrived],
    rules: Rules,
    *,
    expected: Changes = NOTHING,
    also: Changes = NOTHING,
) -> bool:
    """Bring events into a store in one change, together with further keys (`also`: where a reader stands).

    Returns:
        False, with nothing changed, where `expected` is not what is there (another process was faster).

    Raises:
        Unavailable: if the store is out of reach; nothing has changed.
    """
    while True:
        planned = plan(store, tenant, events, expected)

        def change(values: Values, planned: Plan = planned) -> Changes | None:
            there = dict(zip(planned.keys, values, strict=True))
            if any(there[key] != value for key, value in planned.found.items()):
                return None
            book = Book(planned.keys, values, rules)
            for one in events:
                learn(book, one)
            return {**book.changes(), **also}

        if store.update(tenant, planned.keys, change):
            return True
        if overtaken(store, tenant, expected):
            return False


def overtaken(store: ProfileStore, tenant: str, expected: Changes) -> bool:
    """Whether keys are no longer as they were expected."""
    wanted = [entry.value if entry else None for entry in expected.values()]
    return list(store.read(tenant, list(expected))) != wanted
