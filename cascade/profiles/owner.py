"""The profile of a user, a session or a query: totals, its items, its field values, its vectors.

Every part is bounded in bytes. Where one overflows, entries with the least decayed weight make room, a tenth
of the budget at a time, so that a person with a million items costs no more than one with some hundred.
"""

from collections.abc import Mapping

import msgspec
import numpy as np

from cascade.profiles.rules import Rules
from cascade.profiles.tally import EMPTY, Amounts, Tally, added, weight
from features.columns import Floats

ENTRY_BYTES = len(EMPTY) + 16
"""What an entry costs beside its name."""
SPARED = 0.9
"""Of the budget, after room was made."""


class Shelf(msgspec.Struct, array_like=True):
    """Named tallies within a budget. `size`: bytes of the entries with their names."""

    size: int = 0
    entries: dict[str, Tally] = {}

    def add(self, name: str, at_us: int, amounts: Amounts, rules: Rules, ttl_us: int) -> None:
        """Count something of a name."""
        before = self.entries.get(name)
        if before is None:
            self.size += cost(name)
        self.entries[name] = added(before or EMPTY, at_us, amounts, rules, ttl_us)
        if self.size > rules.entries_bytes:
            self._make_room(at_us, rules)

    def _make_room(self, now_us: int, rules: Rules) -> None:
        weights = {name: weight(tally, now_us, rules) for name, tally in self.entries.items()}
        for name in sorted(weights, key=lambda one: (weights[one], one)):
            if self.size <= SPARED * rules.entries_bytes:
                return
            self.size -= cost(name)
            del self.entries[name]


def cost(name: str) -> int:
    """Bytes of an entry."""
    return ENTRY_BYTES + len(name.encode("utf-8", "surrogatepass"))


class Vectors(msgspec.Struct, array_like=True):
    """A person's vectors in one space, little-endian float32, as of `time_us`."""

    time_us: int
    recent: bytes
    long: bytes

    def of(self, window: str) -> Floats:
        """float32[d]: the sum as it was; a cosine does not mind that it has faded since."""
        return np.frombuffer(self.recent if window == "recent" else self.long, "<f4")


def moved(before: Vectors | None, vector: Floats, at_us: int, amount: float, rules: Rules) -> Vectors:
    """The vectors after a liking of `amount` for a unit vector (float32[d]); of another dimension: anew."""
    if before is None or len(before.recent) != 4 * len(vector):
        zero = bytes(4 * len(vector))
        before = Vectors(at_us, zero, zero)
    now = max(before.time_us, at_us)
    sums = [
        before.of(window) * np.float32(2.0 ** ((before.time_us - now) / half_life))
        + vector * np.float32(amount * 2.0 ** ((at_us - now) / half_life))
        for window, half_life in zip(("recent", "long"), rules.half_lives_us, strict=True)
    ]
    return Vectors(now, *(one.astype("<f4").tobytes() for one in sums))


class Profile(msgspec.Struct, array_like=True):
    """What is known of one user, session or query.

    Attributes:
        time_us: of the last event.
        totals: of everything. items: by item id. fields: by field, then by value.
        vectors: by vector column.
    """

    time_us: int = 0
    totals: Tally = EMPTY
    items: Shelf = msgspec.field(default_factory=Shelf)
    fields: dict[str, Shelf] = {}
    vectors: dict[str, Vectors] = {}

    def count(
        self,
        item: str,
        values: Mapping[str, tuple[str, ...]],
        at_us: int,
        amounts: Amounts,
        rules: Rules,
        ttl_us: int,
    ) -> None:
        """Count something of an item with these values by field."""
        self.time_us = max(self.time_us, at_us)
        self.totals = added(self.totals, at_us, amounts, rules, ttl_us)
        self.items.add(item, at_us, amounts, rules, ttl_us)
        for field, keywords in values.items():
            shelf = self.fields.setdefault(field, Shelf())
            for keyword in keywords:
                shelf.add(keyword, at_us, amounts, rules, ttl_us)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Profile)


def encode(profile: Profile) -> bytes:
    """A profile as it is stored."""
    return _encoder.encode(profile)


def decode(data: bytes | None, now_us: int, ttl_us: int) -> Profile:
    """A stored profile; an empty one for none, or for one beyond its time to live."""
    found = _decoder.decode(data) if data else Profile()
    return found if now_us - found.time_us <= ttl_us else Profile()
