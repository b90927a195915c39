"""Team-draft interleaving, and how probable it makes each place."""

from collections import Counter
from collections.abc import Sequence
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.experiments.draft import NOBODY, Draft, common, drafted, seeded
from cascade.experiments.propensities import PLACES, place_propensities
from features.columns import Rows


@st.composite
def rankings(draw: st.DrawFn, most: int = 4) -> list[Rows]:
    """Rankings of the same items, which often begin alike."""
    n = draw(st.integers(1, 12))
    agreed = draw(st.integers(0, n))
    head = draw(st.permutations(range(n)))
    tails = draw(st.lists(st.permutations(head[agreed:]), min_size=2, max_size=most))
    return [np.array([*head[:agreed], *tail], np.int64) for tail in tails]


@given(lists=rankings(), depth=st.integers(1, 15), seed=st.integers(0, 1 << 63))
@settings(max_examples=150, deadline=None)
def test_laws_of_a_draft(lists: list[Rows], depth: int, seed: int) -> None:
    """Every item once; what all begin with on top, nobody's; a pick a team and round, its best."""
    made = drafted(lists, depth, seeded(seed))
    assert sorted(made.rows.tolist()) == sorted(lists[0].tolist())
    assert made.prefix == common(lists, depth)
    assert (made.rows[: made.prefix] == lists[0][: made.prefix]).all()
    picked = min(depth, len(made.rows))
    teams = made.teams.tolist()
    assert teams[: made.prefix] == [NOBODY] * made.prefix
    assert teams[picked:] == [NOBODY] * (len(teams) - picked)
    slots = Counter(teams[made.prefix : picked])
    counts = [slots[team] for team in range(len(lists))]
    assert max(counts) - min(counts) <= 1
    for place in range(made.prefix, picked):
        on_page = set(made.rows[:place].tolist())
        best = next(row for row in lists[teams[place]].tolist() if row not in on_page)
        assert made.rows[place] == best


@given(lists=rankings(), seed=st.integers(0, 1 << 63))
@settings(max_examples=30, deadline=None)
def test_a_seed_decides_the_page(lists: list[Rows], seed: int) -> None:
    """The same seed drafts the same page."""
    one, other = (drafted(lists, 10, seeded(seed)) for _ in range(2))
    assert (one.rows == other.rows).all()
    assert (one.teams == other.teams).all()


def test_the_order_of_a_seed_never_changes() -> None:
    """A replay years later gives the same page: the orders of a seed are frozen."""
    shuffle = seeded(7)
    assert [list(shuffle(3)) for _ in range(4)] == [[1, 0, 2], [0, 2, 1], [2, 0, 1], [1, 2, 0]]


def test_each_team_drafts_first_equally_often() -> None:
    """Over seeds, the first place is each team's one time in as many as there are teams."""
    lists = [np.roll(np.arange(6), turn) for turn in range(3)]
    first = Counter(int(drafted(lists, 6, seeded(seed)).teams[0]) for seed in range(3_000))
    assert all(900 < first[team] < 1_100 for team in range(3))


def test_rankings_that_agree_tell_nothing() -> None:
    """Equal rankings are shown as they are, and no item is anybody's."""
    same = np.array([2, 0, 1])
    made = drafted([same, same.copy()], 3, seeded(1))
    assert made.rows.tolist() == [2, 0, 1]
    assert made.teams.tolist() == [NOBODY] * 3
    assert drafted([np.empty(0, np.int64)] * 2, 5, seeded(1)).rows.tolist() == []


def every_page(first: Rows, second: Rows, depth: int) -> list[Draft]:
    """The pages of all sequences of coins, which are equally probable."""
    rounds = (depth + 1) // 2
    made = []
    for coins in product(permutations(range(2)), repeat=rounds):
        orders = iter(coins)

        def shuffle(count: int, orders: "object" = orders) -> Sequence[int]:
            return next(orders)  # type: ignore[call-overload,no-any-return]

        made.append(drafted([first, second], depth, shuffle))
    return made


@given(lists=rankings(most=2), depth=st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_propensities_are_exact(lists: list[Rows], depth: int) -> None:
    """They are the shares of all sequences of coins, each equally probable, that give the item its place."""
    first, second = lists
    depth = min(depth, len(first))
    pages = every_page(first, second, depth)
    seen = [Counter(int(page.rows[place]) for page in pages) for place in range(depth)]
    for page in pages[:4]:
        found = place_propensities(first, second, page.prefix, page.rows[:depth])
        wanted = [seen[place][int(page.rows[place])] / len(pages) for place in range(depth)]
        np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_propensities_stop_where_nobody_looks() -> None:
    """Beyond the first places they are not known, which is NaN; what all agree on is certain."""
    first = np.arange(60)
    second = np.concatenate([[0, 1], np.arange(2, 60)[::-1]])
    page = drafted([first, second], 60, seeded(3))
    found = place_propensities(first, second, page.prefix, page.rows)
    assert page.prefix == 2
    assert found[:2].tolist() == [1.0, 1.0]
    assert ((found[2:PLACES] > 0) & (found[2:PLACES] <= 1)).all()
    assert np.isnan(found[PLACES:]).all()


def test_an_agreed_page_is_certain() -> None:
    """Rankings that agree everywhere make every place certain, however long they are."""
    same = np.arange(30)
    assert place_propensities(same, same, 30, same) == pytest.approx(np.ones(30))
