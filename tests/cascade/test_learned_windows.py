"""The end of what a bundle learned from, as manifests tell it."""

from hypothesis import given
from hypothesis import strategies as st

from cascade.eventlog.windows import NO_END_US, learned_until, window_entry


@given(time_us=st.integers(0, NO_END_US))
def test_a_window_is_read_as_it_was_written(time_us: int) -> None:
    """To the microsecond: the gate compares the end of training with the first page that was judged."""
    assert learned_until(window_entry(0, time_us)) == time_us


def test_a_bundle_without_a_window_learned_from_no_log_and_one_without_an_end_from_all_of_it() -> None:
    """No entry leaves every page to judge on; an entry that names no end leaves none."""
    assert (learned_until({}), learned_until({"data_window": {}})) == (0, NO_END_US)
