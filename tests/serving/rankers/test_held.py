"""Which rankers stay in memory."""

from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.rankers.held import Held
from serving.rankers.served import Handle, Served


def handle(name: str) -> Handle:
    return (name, "default", "v1")


def served() -> Served:
    return cast(Served, object())


def filled(budget: int, *entries: tuple[str, dict[str, int], float]) -> Held:
    held = Held(budget)
    for name, parts, cost in entries:
        held.put(handle(name), served(), parts, cost)
    return held


def test_the_least_recently_used_of_equals_leaves() -> None:
    """Among rankers of one size and cost, use decides."""
    held = filled(30, ("a", {"a": 10}, 1.0), ("b", {"b": 10}, 1.0), ("c", {"c": 10}, 1.0))
    assert held.put(handle("d"), served(), {"d": 10}, 1.0) == [handle("a")]
    held.get(handle("b"))
    assert held.put(handle("e"), served(), {"e": 10}, 1.0) == [handle("c")]
    assert held.get(handle("c")) is None
    assert (held.used, len(held)) == (30, 3)


def test_what_is_cheap_to_load_again_and_heavy_leaves_first() -> None:
    """Cost for its size decides where use does not."""
    held = filled(40, ("slow", {"1": 10}, 5.0), ("heavy", {"2": 20}, 1.0), ("light", {"3": 10}, 1.0))
    assert held.put(handle("new"), served(), {"4": 20}, 1.0) == [handle("heavy")]


def test_whoever_is_not_used_falls_behind() -> None:
    """However long its load took, a ranker that nobody asks for goes in the end."""
    held = filled(20, ("slow", {"slow": 10}, 3.0))
    gone = [
        each
        for number in range(5)
        for each in held.put(handle(str(number)), served(), {str(number): 10}, 1.0)
    ]
    assert handle("slow") in gone


def test_what_is_shared_counts_once() -> None:
    """A model file that many rankers hold is in the budget once, and goes with the last of them."""
    held = filled(120, *((name, {"model": 100, name: 5}, 1.0) for name in "abcd"))
    assert (held.used, held.own_bytes(handle("a"))) == (120, 5)
    assert held.fits({"model": 100})
    assert not held.fits({"model": 100, "e": 5})
    for name in "abc":
        held.drop(handle(name))
    assert (held.used, held.own_bytes(handle("d"))) == (105, 105)
    held.drop(handle("d"))
    held.drop(handle("d"))
    assert held.used == 0


def test_a_ranker_larger_than_the_budget_is_held_alone() -> None:
    """Nobody else fits beside it, and it goes for the next one."""
    held = filled(10, ("a", {"a": 5}, 1.0), ("giant", {"giant": 50}, 1.0))
    assert (len(held), held.has_room) == (1, False)
    assert held.put(handle("b"), served(), {"b": 5}, 1.0) == [handle("giant")]


Parts = st.dictionaries(st.sampled_from("pqrstu"), st.just(7), max_size=4)
Acts = st.lists(st.tuples(st.sampled_from(["put", "get", "drop"]), st.sampled_from("abcdef"), Parts))


@given(acts=Acts, budget=st.integers(0, 60))
@settings(max_examples=150, deadline=None)
def test_the_budget_holds_whatever_happens(acts: list[tuple[Any, str, dict[str, int]]], budget: int) -> None:
    """Bytes used are those of the distinct parts held, and within the budget unless one ranker alone is
    not."""
    held, parts = Held(budget), {}
    for act, name, own in acts:
        if act == "put":
            for gone in held.put(handle(name), served(), own, 1.0):
                del parts[gone]
            parts[handle(name)] = own
        elif act == "drop":
            held.drop(handle(name))
            parts.pop(handle(name), None)
        else:
            assert (held.get(handle(name)) is None) == (handle(name) not in parts)
        assert held.used == 7 * len({part for one in parts.values() for part in one})
        assert held.used <= budget or len(held) == 1
        assert len(held) == len(parts)
