"""The span of events that a bundle was trained on, as its manifest tells it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cascade.events import MICROS

KEY = "data_window"
"""Key of `Manifest.data`: `{"since": ISO 8601, "until": ISO 8601}`, UTC; an absent one is no bound."""


def window_entry(since_us: int, until_us: int) -> dict[str, dict[str, str]]:
    """What a training run writes into its manifest."""
    return {KEY: {"since": written(since_us), "until": written(until_us)}}


def written(time_us: int) -> str:
    """A moment as ISO 8601."""
    return datetime.fromtimestamp(time_us / MICROS, UTC).isoformat()


def trained_on(data: Mapping[str, Any], first_us: int, last_us: int) -> bool | None:
    """Whether events between two moments (both included) were in a bundle's data; None = it does not say."""
    found = data.get(KEY)
    if not isinstance(found, Mapping):
        return None
    since, until = (edge(found.get(name), bound) for name, bound in (("since", 0), ("until", 1 << 62)))
    return since <= last_us and first_us < until


def edge(value: Any, absent: int) -> int:
    """Microseconds of one end of a window."""
    if not isinstance(value, str):
        return absent
    when = datetime.fromisoformat(value)
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * MICROS)
