"""The profiles that a batch of events changes: read once, changed one event after the other, written once.

What a batch makes of them does not depend on where batches are cut: encoding loses nothing, and every bound
is kept by the event that would break it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from cascade.events import Interaction
from cascade.profiles import owner, page
from cascade.profiles.keys import DONE, EARLY, ITEM, OF_OWNER, PAGE, TOTALS, key_of
from cascade.profiles.owner import Profile
from cascade.profiles.page import Page
from cascade.profiles.rules import Rules
from cascade.profiles.store import Changes, Entry, Key, Values
from cascade.profiles.tally import EMPTY, Amounts, Tally, added, time_of

MARK_BYTES = 8
MOST_DONE = 4_096
"""Interactions of one page that count; a page with more is no person's."""

_early = msgspec.msgpack.Decoder(list[Interaction])
_encode = msgspec.msgpack.Encoder().encode


class Totals(NamedTuple):
    """A tenant's counts, and the arrival of the last event that its profiles have seen."""

    arrival: int
    tally: Tally


def read_totals(data: bytes | None) -> Totals:
    """Stored totals; nothing seen yet where there are none."""
    return Totals(int.from_bytes(data[:8], "little"), data[8:]) if data else Totals(0, EMPTY)


class Book:
    """Decoded profiles of one tenant under their keys. Not for several threads."""

    def __init__(self, keys: Sequence[Key], values: Values, rules: Rules) -> None:
        self.rules = rules
        self._raw = dict(zip(keys, values, strict=True))
        self._owners: dict[Key, tuple[Profile, int]] = {}
        self._changed: dict[Key, Entry | None] = {}

    def arrived(self, arrival: int) -> None:
        """An event has been seen."""
        before = read_totals(self._raw[TOTALS])
        self._put(TOTALS, max(arrival, before.arrival).to_bytes(8, "little") + before.tally, 0)

    def count(self, at_us: int, amounts: Amounts) -> None:
        """Count for the tenant."""
        arrival, tally = read_totals(self._raw[TOTALS])
        tally = added(tally, at_us, amounts, self.rules, self.rules.ttl_us)
        self._put(TOTALS, arrival.to_bytes(8, "little") + tally, 0)

    def count_item(self, item: str, at_us: int, amounts: Amounts) -> None:
        """Count for an item."""
        key = key_of(ITEM, item)
        tally = added(self._raw[key] or EMPTY, at_us, amounts, self.rules, self.rules.ttl_us)
        self._put(key, tally, time_of(tally) + self.rules.ttl_us)

    def owner(self, kind: str, name: str, at_us: int) -> Profile:
        """The profile of a user, a session or a query, to be changed in place."""
        key = key_of(OF_OWNER[kind], name)
        ttl = ttl_of(kind, self.rules)
        if key not in self._owners:
            self._owners[key] = owner.decode(self._raw[key], at_us, ttl), ttl
        found, _ = self._owners[key]
        if at_us - found.time_us > ttl:
            self._owners[key] = found, _ = Profile(), ttl
        return found

    def page(self, request_id: str) -> Page | None:
        """What an impression showed."""
        data = self._raw[key_of(PAGE, request_id)]
        return page.decode(data) if data else None

    def keep_page(self, request_id: str, shown: Page) -> None:
        """Remember an impression."""
        self._put(key_of(PAGE, request_id), page.encode(shown), shown.time_us + self.rules.page_us)

    def is_done(self, request_id: str, mark: bytes, until_us: int) -> bool:
        """Whether an interaction counted before; from now on it has."""
        key = key_of(DONE, request_id)
        known = self._raw[key] or b""
        if len(known) >= MARK_BYTES * MOST_DONE:
            return True
        if mark in (known[at : at + MARK_BYTES] for at in range(0, len(known), MARK_BYTES)):
            return True
        self._put(key, known + mark, until_us)
        return False

    def park(self, event: Interaction) -> None:
        """Keep an interaction until its page comes."""
        key = key_of(EARLY, event.request_id)
        waiting = self._waiting(key)
        if len(waiting) < MOST_DONE and event.event_id not in {one.event_id for one in waiting}:
            self._put(key, _encode([*waiting, event]), event.time_us + self.rules.page_us)

    def parked(self, request_id: str) -> list[Interaction]:
        """The interactions that came before their page, taken out."""
        key = key_of(EARLY, request_id)
        found = self._waiting(key)
        if found:
            self._raw[key] = self._changed[key] = None
        return found

    def changes(self) -> Changes:
        """All that has changed, as it is stored."""
        for key, (profile, ttl_us) in self._owners.items():
            self._changed[key] = Entry(owner.encode(profile), profile.time_us + ttl_us)
        return self._changed

    def _waiting(self, key: Key) -> list[Interaction]:
        return read_early(self._raw[key])

    def _put(self, key: Key, value: bytes, expires_us: int) -> None:
        self._raw[key] = value
        self._changed[key] = Entry(value, expires_us)


def ttl_of(kind: str, rules: Rules) -> int:
    """Microseconds after its last event in which an owner's profile is forgotten."""
    return rules.session_us if kind == "session" else rules.ttl_us


def read_early(data: bytes | None) -> list[Interaction]:
    """Stored interactions that wait for their page."""
    return _early.decode(data) if data else []
