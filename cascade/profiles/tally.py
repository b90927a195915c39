"""Counts that fade: 136 bytes that hold every signal in both windows, as of the last event.

A count is lazily decayed: it is multiplied by 2^(−Δt / half-life) when something is added, and when it is
read. Adding is scalar arithmetic, one event after the other; reading is one expression over any number of
tallies, so that ten thousand items cost little.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cascade.profiles.rules import Rules
from features.behaviour import SIGNALS, WINDOWS
from features.columns import Doubles

AT = {signal: position for position, signal in enumerate(SIGNALS)}
WIDTH = len(SIGNALS)
_LAYOUT = struct.Struct(f"<q{len(WINDOWS) * WIDTH}d")
_DTYPE = np.dtype([("time", "<i8"), ("counts", "<f8", (len(WINDOWS), WIDTH))])

Tally = bytes
"""Microseconds of the last event, then the counts, window by window. `EMPTY` = nothing is known."""
EMPTY: Tally = bytes(_LAYOUT.size)

Amounts = Mapping[str, float]
"""Signal → what is added to it."""


def time_of(tally: Tally) -> int:
    """Microseconds of the last event."""
    return int.from_bytes(tally[:8], "little")


def added(tally: Tally, at_us: int, amounts: Amounts, rules: Rules, ttl_us: int) -> Tally:
    """The tally after something happened at a moment.

    What comes late adds what is left of it by now; what nothing happened to for its time to live starts anew.
    """
    since, *counts = _LAYOUT.unpack(tally)
    if at_us - since > ttl_us:
        since, counts = at_us, [0.0] * len(counts)
    now = max(since, at_us)
    for window, half_life in enumerate(rules.half_lives_us):
        start = window * WIDTH
        if now > since:
            faded = 2.0 ** ((since - now) / half_life)
            counts[start : start + WIDTH] = [count * faded for count in counts[start : start + WIDTH]]
        share = 2.0 ** ((at_us - now) / half_life)
        for signal, amount in amounts.items():
            counts[start + AT[signal]] += amount * share
    return _LAYOUT.pack(now, *counts)


@dataclass(frozen=True, slots=True, eq=False)
class Faded:
    """n tallies as they stand at a moment.

    Attributes:
        counts: float64[n, windows, signals] as of `age_us` ago. age_us: float64[n], not negative.
        half_lives_us: of the windows.
    """

    counts: Doubles
    age_us: Doubles
    half_lives_us: tuple[float, float]

    def of(self, signal: str, window: str) -> Doubles:
        """float64[n]: one count."""
        at = WINDOWS.index(window)
        made: Doubles = self.counts[:, at, AT[signal]] * np.exp2(-self.age_us / self.half_lives_us[at])
        return made


def faded(tallies: Sequence[Tally], now_us: int, rules: Rules, ttl_us: int) -> Faded:
    """Tallies as they stand at a moment; one beyond its time to live counts nothing."""
    read = np.frombuffer(b"".join(tallies), _DTYPE)
    age = np.maximum(now_us - read["time"], 0)
    counts = np.where((age > ttl_us)[:, None, None], 0.0, read["counts"])
    return Faded(counts, age.astype(np.float64), rules.half_lives_us)


def weight(tally: Tally, now_us: int, rules: Rules) -> float:
    """How much there is to lose with a tally: engagement, and a little for having been shown."""
    since, *counts = _LAYOUT.unpack(tally)
    long = counts[WIDTH:]
    left = 2.0 ** (min(0, since - now_us) / rules.half_lives_us[1])
    return float((long[AT["engagement"]] + 0.01 * long[AT["impression"]]) * left)
