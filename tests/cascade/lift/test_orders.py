"""Where every stage would have put what a page showed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.lift.orders import examined
from cascade.lift.worth import worth

CURVE = np.array([1.0, 0.5, 0.25, 0.125])
NAN = np.nan


def of_page(*stages: list[float]) -> list[list[float]]:
    """θ before any stage and after each, for the items of one page."""
    scores = np.array(stages, np.float32).T
    return examined(scores, np.zeros(len(scores), np.int64), CURVE).tolist()


def test_a_stage_orders_by_falling_score() -> None:
    """The best gets the first place's θ; before any stage all share the mean."""
    before, after = of_page([0.1, 0.3, 0.2])
    assert before == pytest.approx([1.75 / 3] * 3)
    assert after == [0.25, 1.0, 0.5]


def test_unscored_items_stand_behind_in_the_order_of_the_stage_before() -> None:
    """As the cascade has it: what a later stage did not see keeps its order below what it did."""
    _, _, after = of_page([4, 3, 2, 1], [NAN, 1, NAN, 2])
    assert after == [0.25, 0.5, 0.125, 1.0]


def test_a_stage_that_scored_nothing_changes_nothing() -> None:
    """All NaN: the order stands."""
    _, first, second = of_page([1, 3, 2], [NAN, NAN, NAN])
    assert first == second


def test_ties_keep_the_order_of_the_stage_before() -> None:
    """Equal scores of a later stage leave the earlier one's order; those of the first are any order."""
    _, first, second = of_page([1, 1, 2], [5, 5, 5])
    assert first == second == [0.375, 0.375, 1.0]
    assert of_page([1, 2, 3], [7, 7, 9])[2] == [0.25, 0.5, 1.0]


def test_pages_do_not_touch() -> None:
    """Several pages at once give what each gives alone."""
    random = np.random.default_rng(1)
    sizes = [3, 1, 4, 2]
    page = np.repeat(np.arange(4), sizes)
    scores = random.integers(0, 3, (10, 2)).astype(np.float32)
    together = examined(scores, page, CURVE)
    for number in range(4):
        mine = page == number
        assert examined(scores[mine], np.zeros(mine.sum(), np.int64), CURVE).tolist() == (
            together[:, mine].tolist()
        )


@settings(deadline=None, max_examples=40)
@given(
    scores=st.lists(st.tuples(*[st.sampled_from([0.0, 1.0, 2.0, NAN])] * 3), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_laws(scores: list[tuple[float, ...]], seed: int) -> None:
    """Every order gives all places away, and the order in which items are listed plays no part."""
    made = np.array(scores, np.float32)
    page = np.zeros(len(made), np.int64)
    found = examined(made, page, CURVE)
    assert found.sum(axis=1) == pytest.approx(np.full(4, CURVE[: len(made)].sum()))
    turn = np.random.default_rng(seed).permutation(len(made))
    assert np.allclose(examined(made[turn], page, CURVE), found[:, turn])


def test_clicks_are_worth_the_ratio_of_examination() -> None:
    """An item shown at place 2 that a stage puts first: a click there stands for θ_1 / θ_2 = 2."""
    made = worth(np.array([[1.0], [2.0]], np.float32), np.zeros(2, np.int64), CURVE)
    assert made.after.tolist() == [[0.5, 2.0]]
    assert made.before.tolist() == [[0.75, 1.5]]
    assert made.ran.tolist() == [[True]]


def test_no_pages() -> None:
    """Nothing in, nothing out."""
    made = worth(np.empty((0, 2), np.float32), np.empty(0, np.int64), CURVE)
    assert made.after.shape == (2, 0)
    assert made.ran.shape == (2, 0)
