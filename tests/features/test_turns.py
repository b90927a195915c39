"""Weighted fair queueing among tenants, without threads."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from features.fairness import HIGH, LOW, NORMAL, REMEMBERED, Share, Turns

ENDLESS = 1e18


def served(turns: Turns, waiting: dict[Share, list[float]], times: int, since: float = 0.0) -> list[Share]:
    """Whose turn it was, `times` times, while everybody always has more work of the given sizes in turn."""
    order = []
    for turn in range(times):
        share = min(waiting, key=lambda one: turns.rank(one, since))
        turns.begin(share)
        turns.charge(share, waiting[share][turn % len(waiting[share])])
        order.append(share)
    return order


weights = st.floats(0.1, 10.0)
sizes = st.lists(st.floats(1.0, 100.0), min_size=1, max_size=5)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(weights, sizes), min_size=2, max_size=5), st.integers(50, 300))
def test_busy_tenants_share_by_weight(tenants: list[tuple[float, list[float]]], times: int) -> None:
    """At any time, what two busy tenants got, by their weights, differs by their largest pieces at most."""
    waiting = {Share(f"t{i}", weight): list(pieces) for i, (weight, pieces) in enumerate(tenants)}
    turns, got = Turns(ENDLESS), Counter[Share]()
    largest = {share: max(pieces) / share.weight for share, pieces in waiting.items()}
    for turn in range(times):
        share = min(waiting, key=lambda one: turns.rank(one, 0.0))
        cost = waiting[share][turn % len(waiting[share])]
        turns.begin(share)
        turns.charge(share, cost)
        got[share] += cost / share.weight
        for one in waiting:
            for other in waiting:
                assert got[one] - got[other] <= largest[one] + largest[other] + 1e-6


def test_a_newcomer_owes_nothing_and_is_owed_nothing() -> None:
    """Whoever was away begins now: it neither makes up for the past nor pays for the others' work."""
    turns, old, new = Turns(ENDLESS), Share("old"), Share("new")
    served(turns, {old: [10.0]}, 100)
    order = served(turns, {old: [10.0], new: [10.0]}, 10)
    assert Counter(order) == {old: 5, new: 5}


def test_coming_and_going_gains_nothing() -> None:
    """A tenant that leaves after every piece has its past when it is back."""
    turns, heavy, light = Turns(ENDLESS), Share("heavy"), Share("light")
    order = served(turns, {heavy: [100.0], light: [1.0]}, 202)
    assert Counter(order)[heavy] <= 3


def test_classes_go_first_but_not_for_ever() -> None:
    """A higher class is served before a lower one, until the lower one has waited for `patience` of work."""
    turns, high, low = Turns(50.0), Share("high", priority=HIGH), Share("low", priority=LOW)
    order = served(turns, {high: [10.0], low: [10.0]}, 24)
    assert order[:5] == [high] * 5
    assert order[5] == low
    assert Counter(order) == {high: 20, low: 4}


def test_one_tenant_is_never_overdue() -> None:
    """Alone, a tenant's rank is always that of its class, however long some of its work waits."""
    turns, alone = Turns(10.0), Share("alone")
    for _ in range(50):
        turns.begin(alone)
        turns.charge(alone, 7.0)
        assert turns.rank(alone, 0.0)[0] == NORMAL


def test_what_is_over_is_forgotten() -> None:
    """Memory is bounded by tenants whose past still counts."""
    turns = Turns(ENDLESS)
    for number in range(3 * REMEMBERED):
        share = Share(str(number))
        turns.begin(share)
        turns.charge(share, 1.0)
        turns.begin(Share("clock"))
        turns.charge(Share("clock"), 2.0)
    assert len(turns._accounts) <= REMEMBERED + 1
