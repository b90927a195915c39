"""The span of events that a bundle was trained on, as its manifest tells it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cascade.events import MICROS

KEY = "data_window"
"""Key of `Manifest.data`: `{"since": ISO 8601, "until": ISO 8601}`, UTC; an absent one is no bound."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_END_US = 253_370_764_800 * MICROS
"""The year 9999: the end of a window that has none."""


def window_entry(since_us: int, until_us: int) -> dict[str, dict[str, str]]:
    """What a training run writes into its manifest."""
    return {KEY: {"since": written(since_us), "until": written(until_us)}}


def written(time_us: int) -> str:
    """A moment as ISO 8601."""
    return (EPOCH + timedelta(microseconds=time_us)).isoformat()


def trained_on(data: Mapping[str, Any], first_us: int, last_us: int) -> bool | None:
    """Whether events between two moments (both included) were in a bundle's data; None = it does not say."""
    found = data.get(KEY)
    if not isinstance(found, Mapping):
        return None
    since, until = (edge(found.get(name), bound) for name, bound in (("since", 0), ("until", NO_END_US)))
    return since <= last_us and first_us < until


def edge(value: Any, absent: int) -> int:
    """Microseconds of one end of a window."""
    if not isinstance(value, str):
        return absent
    return micros(datetime.fromisoformat(value))


def micros(when: datetime) -> int:
    """Microseconds since 1970, exactly: the inverse of `written`. A time without a zone is UTC."""
    return ((when if when.tzinfo else when.replace(tzinfo=UTC)) - EPOCH) // timedelta(microseconds=1)


def learned_until(data: Mapping[str, Any]) -> int:
    """The moment, in microseconds, from which on events are new to a bundle; 0 = it learned from no log."""
    found = data.get(KEY)
    return edge(found.get("until"), NO_END_US) if isinstance(found, Mapping) else 0
