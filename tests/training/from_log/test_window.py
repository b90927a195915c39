"""Which span of a log a training reads."""

import pytest

from cascade.events import MICROS
from features.errors import InvalidInput
from training.from_log.window import end_of, window_of

NOW = 1_790_000_000 * MICROS
DAY = 86_400 * MICROS


@pytest.mark.parametrize(
    ("since", "start"),
    [
        ("7d", NOW - 7 * DAY),
        ("24h", NOW - DAY),
        ("30m", NOW - DAY // 48),
        ("2w", NOW - 14 * DAY),
        ("2026-01-02", 1_767_312_000 * MICROS),
        ("2026-01-02T12:00:00+02:00", 1_767_348_000 * MICROS),
        ("last", NOW - 5),
        ("", 0),
    ],
)
def test_since_is_a_span_a_date_a_time_or_where_the_last_one_ended(since: str, start: int) -> None:
    """Each form gives its moment; without a zone it is UTC; nothing is no bound."""
    window = window_of(since, "", NOW, NOW - 5)
    assert (window.since_us, window.watermark_us) == (start, NOW)


def test_pages_that_settle_are_left_to_the_next_training() -> None:
    """The window's own end lies before the watermark, so that `last` goes on without a gap."""
    window = window_of("1d", "", NOW, None, settle_s=60)
    assert end_of(window) == NOW - 60 * MICROS
    assert window.watermark_us == NOW
    with pytest.raises(InvalidInput, match="settle"):
        window_of("30s", "", NOW, None, settle_s=60)


@pytest.mark.parametrize(
    ("since", "until", "told"),
    [
        ("yesterday", "", "--since: 'yesterday' is not an ISO 8601 date or time, or a span .*, or last"),
        ("", "last", "--until: 'last' is not"),
        ("-3d", "", "--since: '-3d' is not"),
        ("last", "", "no promoted bundle says where"),
        ("1d", "2d", "empty or reversed"),
        ("2026-05-05", "2026-05-05", "empty or reversed"),
    ],
)
def test_windows_that_cannot_be_right_are_refused(since: str, until: str, told: str) -> None:
    """The option and the way out are named."""
    with pytest.raises(InvalidInput, match=told):
        window_of(since, until, NOW, None)
