"""Gradients of pairs, against the formula written out and against the law that they are to follow."""

from itertools import combinations

import numpy as np
import pytest
from scipy.special import expit

from features.columns import Doubles, Rows
from training.from_log.pages import LogPages
from training.from_log.pairs import (
    PagePairs,
    PairObjective,
    all_pairs,
    ranks_of,
    unweighted_pairs,
    weighted_pairs,
)
from training.from_log.testing import THETA


def pages(worth: list[list[float]]) -> LogPages:
    """Pages whose items stand at 0, 1, 2 …"""
    sizes = np.array([len(page) for page in worth])
    n = int(sizes.sum())
    place = np.concatenate([np.arange(size) for size in sizes])
    count = len(sizes)
    return LogPages(
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        values=np.zeros((n, 1), np.float32),
        names=("x",),
        fingerprint="",
        worth=np.concatenate([np.array(page, float) for page in worth]),
        place=place,
        document=np.arange(n),
        query=np.zeros(count, np.int64),
        time_us=np.arange(count),
        actor=np.arange(count, dtype=np.uint64),
        texts=("q",),
        ids=tuple(map(str, range(n))),
    )


def test_every_item_with_worth_is_paired_with_all_others_of_its_page() -> None:
    """Pages are kept apart; two that were clicked meet both ways; no weight is above worth."""
    logged = pages([[0, 1, 0.5], [0, 0], [1, 0]])
    better, worse = all_pairs(logged.worth, logged.offsets)
    assert list(zip(better.tolist(), worse.tolist(), strict=True)) == [(1, 0), (1, 2), (2, 0), (2, 1), (5, 6)]
    found = weighted_pairs(logged, np.array([1, 0.5, 0.25, 1, 0.5, 1, 0.5]))
    raw = np.array([1, 0.5, 0.5, 0.5, 0.5])
    np.testing.assert_allclose(found.weight, raw / raw.mean())


def test_pairs_of_unbiased_lambdamart_are_of_clicked_and_unclicked_items() -> None:
    """Items that both have worth say nothing of each other there."""
    found = unweighted_pairs(np.array([0, 1, 0.5]), np.array([0, 3]))
    assert list(zip(found.better.tolist(), found.worse.tolist(), strict=True)) == [(1, 0), (2, 0)]


def test_gradients_are_those_of_the_formula() -> None:
    """λ and its derivative for every pair, summed by row, as loops write them."""
    logged = pages([[0, 1, 0, 1], [1, 0, 0]])
    theta = THETA[logged.place]
    scores = np.random.default_rng(0).normal(size=7)
    pairs = weighted_pairs(logged, theta)
    gradient, hessian = PairObjective(pairs, logged.offsets, logged.place, 2).gradients()(scores, None)
    slope, bend = np.zeros(7), np.zeros(7)
    rank = np.concatenate([np.argsort(np.argsort(-scores[:4])), np.argsort(np.argsort(-scores[4:]))])
    for i, j, weight in zip(pairs.better, pairs.worse, pairs.weight, strict=True):
        if min(rank[i], rank[j]) < 2:
            change = abs(1 / np.log2(2 + rank[i]) - 1 / np.log2(2 + rank[j])) * weight
            wrong = expit(scores[j] - scores[i])
            slope[i] -= change * wrong
            slope[j] += change * wrong
            bend[[i, j]] += change * wrong * (1 - wrong)
    np.testing.assert_allclose(gradient, slope)
    np.testing.assert_allclose(hessian, bend)


def draws(appeal: Doubles, count: int) -> LogPages:
    """Many pages of one order under position bias."""
    random = np.random.default_rng(2)
    clicked = random.random((count, len(appeal))) < THETA[: len(appeal)] * appeal
    return pages(clicked.astype(float).tolist())


def preference(pairs: PagePairs, by_row: Rows, i: int, j: int) -> float:
    """What speaks for i before j, over what speaks for j before i."""
    better, worse = by_row[pairs.better], by_row[pairs.worse]
    ahead, behind = (pairs.weight[(better == a) & (worse == b)].sum() for a, b in ((i, j), (j, i)))
    return float(ahead / behind)


def test_weights_take_the_place_out_of_the_mean_of_pairs() -> None:
    """Over many pages w_ij to w_ji is as what i is worth to what j is; raw clicks are not."""
    appeal = np.array([0.3, 0.3, 0.6, 0.6])
    logged = draws(appeal, 40_000)
    by_row = logged.document % 4
    fair = weighted_pairs(logged, THETA[logged.place])
    raw = weighted_pairs(logged, np.ones(len(logged.place)))
    for i, j in combinations(range(4), 2):
        assert preference(fair, by_row, i, j) == pytest.approx(appeal[i] / appeal[j], rel=0.1)
    assert preference(raw, by_row, 0, 3) > 1


def test_joint_estimation_finds_that_lower_places_are_clicked_less_for_their_place() -> None:
    """With documents of one appeal, t⁺ falls down the page like θ to the power that draws it to 1."""
    logged = draws(np.full(4, 0.5), 20_000)
    objective = PairObjective(
        unweighted_pairs(logged.worth, logged.offsets), logged.offsets, logged.place, 10, joint=True
    )
    for _ in range(5):
        objective.at(np.zeros(len(logged.place)))
    assert (np.diff(objective.plus) < 0).all()
    assert objective.plus[0] == objective.minus[0] == 1.0
    before = objective.plus.copy()
    objective.gradients()(np.zeros(len(logged.place)), None)
    np.testing.assert_array_equal(objective.plus, before)


def test_ties_keep_the_order_in_which_they_were_shown() -> None:
    """Ranks of equal scores rise with the place, within each page."""
    assert ranks_of(np.array([1.0, 1, 2, 0, 0]), np.array([0, 3, 5])).tolist() == [1, 2, 0, 0, 1]


def test_pairs_of_nothing_weigh_nothing() -> None:
    """Pages without worth give no pair, and no gradient."""
    logged = pages([[0, 0], [0, 0]])
    none = weighted_pairs(logged, np.ones(4))
    assert isinstance(none, PagePairs)
    gradient, hessian = PairObjective(none, logged.offsets, logged.place, 3).at(np.zeros(4))
    assert not gradient.any()
    assert not hessian.any()
    assert pytest.approx(0) == len(none.weight)
