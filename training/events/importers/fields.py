"""Single fields of other programs' records: times, types, names, numbers and lists, each within bounds.

An import may hold anything, and what is in the log has to fit its schema: a record that does not is refused
here, before it is written.
"""

import re
import sys
from datetime import UTC, datetime
from typing import Any

import numpy as np

from cascade.events import CART, CLICK, DWELL, MICROS, PURCHASE, SAVE, TYPES
from features.errors import InvalidInput

LONGEST_NAME = 63
LONGEST_TEXT = 64 << 10
"""Characters of an id, a query, or all named values together."""
LARGEST = (1 << 31) - 1

KNOWN = {
    "click": CLICK,
    "dwell": DWELL,
    "save": SAVE,
    "favourite": SAVE,
    "favorite": SAVE,
    "cart": CART,
    "add_to_cart": CART,
    "purchase": PURCHASE,
    "buy": PURCHASE,
}
"""How others call our types."""


def to_us(value: Any, path: str, unit_us: float = MICROS) -> int:
    """Microseconds since 1970 of a datetime, an ISO 8601 text, or a number in units of so many microseconds.

    Raises:
        InvalidInput: for what is none of them, or before 1970.
    """
    if isinstance(value, str):
        value = from_text(value, path)
    if isinstance(value, datetime):
        value, unit_us = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp(), MICROS
    if not is_number(value) or value < 0:
        raise InvalidInput(f"{value!r:.80} is no time: an ISO 8601 text, or a number since 1970", path=path)
    time_us: float = value * unit_us
    if time_us >= 1 << 57:
        raise InvalidInput(f"{value!r:.80} is after the year 6500; is the unit right?", path=path)
    return round(time_us)


def from_text(value: str, path: str) -> float | datetime:
    """The number, or the moment, that a text writes."""
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise InvalidInput(f"{value[:80]!r} is no ISO 8601 time", path=path) from None


def to_type(value: Any, path: str) -> str:
    """Our type, or a name of ours for theirs: `Add to Cart` is CART, `View Detail` is `view_detail`."""
    if value in TYPES:
        return str(value)
    name = re.sub(r"[^a-z0-9_-]+", "_", text(value, path).lower()).strip("_-")[:LONGEST_NAME]
    if not name:
        raise InvalidInput(f"{value!r:.80} is no type", path=path)
    return KNOWN.get(name, name)


def text(value: Any, path: str) -> str:
    """A text or a number that is used as a name; not empty."""
    if isinstance(value, str | int) and not isinstance(value, bool) and (name := optional(value, path)):
        return name
    raise InvalidInput(f"{value!r:.80} is no name" if value else "is missing or empty", path=path)


def optional(value: Any, path: str) -> str:
    """The same where it may be missing."""
    if value is None:
        return ""
    try:
        written = str(value)
    except ValueError:  # an integer of more digits than Python writes
        raise InvalidInput("is too long a number", path=path) from None
    if len(written) > LONGEST_TEXT:
        raise InvalidInput(f"has {len(written)} characters, more than the {LONGEST_TEXT} allowed", path=path)
    return written


def number(value: Any, path: str) -> float | None:
    """A finite number, or None where there is none."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    if not is_number(value):
        raise InvalidInput(f"{value!r:.80} is no number", path=path)
    return float(value)


def is_number(value: Any) -> bool:
    """Whether it is one, finite and within float64."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -sys.float_info.max <= value <= sys.float_info.max


def listed(value: Any, path: str) -> list[Any]:
    """A list; empty where there is none.

    Raises:
        InvalidInput: for anything else.
    """
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise InvalidInput("must be a list", path=path)
    return list(value)


def whole(value: Any, path: str, least: int, most: int) -> int:
    """A whole number within bounds.

    Raises:
        InvalidInput: for anything else.
    """
    found = number(value, path)
    if found is None or found != int(found) or not least <= found <= most:
        raise InvalidInput(f"{value!r:.80} is no whole number from {least} to {most}", path=path)
    return int(found)
