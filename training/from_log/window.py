"""Which span of the log to learn from: dates, times, spans back from now, or on from the last training."""

import re
from datetime import UTC, datetime

from cascade.eventlog.windows import written
from cascade.events import MICROS
from features.errors import InvalidInput
from training.events.rules import Window

LAST = "last"
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
SPAN = re.compile(r"(\d+)([smhdw])")
FORMS = "an ISO 8601 date or time, or a span back from now such as 7d, 24h or 30m"


def window_of(since: str, until: str, now_us: int, last_us: int | None, settle_s: float = 0.0) -> Window:
    """The window of `--since` and `--until`; "" is no bound, and now.

    Args:
        now_us: microseconds since 1970.
        last_us: where the promoted bundle's window ended; None = it does not say, or there is none.

    Raises:
        InvalidInput: for what is no date, time or span; for `last` without a window to go on from; for a
            window that holds no time.
    """
    start = started(since, now_us, last_us)
    end = moment(until, now_us, "--until") if until else now_us
    if end - int(settle_s * MICROS) <= start:
        settled = f" (less the {settle_s:g} s in which pages settle)" if settle_s else ""
        message = f"the window from {written(start)} to {written(end)}{settled} is empty or reversed"
        raise InvalidInput(f"{message}; give an earlier --since or a later --until", path="--since")
    return Window(since_us=start, watermark_us=end, settle_s=settle_s)


def started(since: str, now_us: int, last_us: int | None) -> int:
    """Where the window begins."""
    if since != LAST:
        return moment(since, now_us, "--since", f", or {LAST}") if since else 0
    if last_us is None:
        message = "'last' goes on where the promoted bundle's data ended, and no promoted bundle says where"
        raise InvalidInput(f"{message}; give a date, or a span such as 7d", path="--since")
    return last_us


def moment(text: str, now_us: int, path: str, more: str = "") -> int:
    """Microseconds since 1970; a time without a zone is UTC."""
    span = SPAN.fullmatch(text.strip())
    if span:
        return max(0, now_us - int(span[1]) * UNITS[span[2]] * MICROS)
    try:
        when = datetime.fromisoformat(text.strip())
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidInput(f"{text!r} is not {FORMS}{more}", path=path) from None
    return max(0, round(seconds * MICROS))


def end_of(window: Window) -> int:
    """The first moment whose pages are not in it: where the next training goes on."""
    return window.watermark_us - int(window.settle_s * MICROS)
