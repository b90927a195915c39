"""Places for calls that last: how many there are, and how many one caller may take."""

from contextlib import ExitStack

import pytest

from features.errors import Exhausted
from serving.places import Places


def test_nobody_alone_takes_the_last_quarter() -> None:
    """One holder has six of eight, and a second the other two; nobody gets any until one is given back."""
    places = Places(8, "calls are open", 2.5)
    with ExitStack() as noisy, ExitStack() as quiet:
        for _ in range(6):
            noisy.enter_context(places.place("noisy"))
        with pytest.raises(Exhausted, match=r"^6 of your calls are open$") as caught, places.place("noisy"):
            raise AssertionError
        assert caught.value.retry_after_s == 2.5
        for _ in range(2):
            quiet.enter_context(places.place("quiet"))
        with pytest.raises(Exhausted, match=r"^8 calls are open$"), places.place("new"):
            raise AssertionError
        noisy.close()
        with places.place("new"):
            assert places._held == {"quiet": 2, "new": 1}
    assert not places._held


@pytest.mark.parametrize("number", [1, 2, 3])
def test_of_a_few_one_caller_may_take_all(number: int) -> None:
    """A quarter of fewer than four is none."""
    places = Places(number, "calls are open")
    with ExitStack() as held:
        for _ in range(number):
            held.enter_context(places.place("one"))
        with pytest.raises(Exhausted, match=rf"^{number} calls are open$"), places.place("one"):
            raise AssertionError


def test_a_place_is_given_back_by_a_call_that_fails() -> None:
    """Whatever ends it."""
    places = Places(1, "calls are open")
    for _ in range(2):
        with pytest.raises(KeyError), places.place("one"):
            raise KeyError
