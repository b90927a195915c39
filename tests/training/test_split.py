"""Splits never part near-duplicates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.batch import Query
from features.errors import InvalidInput
from training.split import LARGEST, folds_of, groups_of, largest

judged = st.lists(st.sets(st.integers(0, 60), max_size=3), min_size=4, max_size=40)


def build(positives: list[set[int]]) -> tuple[list[Query], dict[str, dict[str, float]]]:
    """Queries with these relevant documents."""
    queries = [Query(f"text {number}", id=str(number)) for number in range(len(positives))]
    return queries, {str(n): {str(doc): 1.0 for doc in docs} for n, docs in enumerate(positives)}


@settings(deadline=None, max_examples=80)
@given(judged, st.integers(0, 3))
def test_queries_that_share_a_positive_stay_together(positives: list[set[int]], seed: int) -> None:
    """No fold holds one of two queries with a common relevant document and another fold the other."""
    groups, notes = groups_of(*build(positives))
    if notes or len(np.unique(groups)) < 2:
        return
    folds = folds_of(groups, 3, seed)
    for one, mine in enumerate(positives):
        for other, theirs in enumerate(positives):
            assert not mine & theirs or folds[one] == folds[other]


def test_same_text_stays_together() -> None:
    """Queries that differ in case and spacing alone are one group; a shared grade of 0 ties nobody."""
    queries = [Query("Red  Apple", id="1"), Query("red apple", id="2"), Query("boat", id="3")]
    queries += [Query(f"other {n}", id=f"o{n}") for n in range(5)]
    groups, notes = groups_of(queries, {"1": {"d": 0.0}, "3": {"d": 0.0}})
    assert groups[0] == groups[1] != groups[2]
    assert notes == ()


def test_one_huge_component_falls_back_to_overlap() -> None:
    """Where a chain of shared documents ties all, queries with mostly the same ones stay together."""
    chain = [{n, n + 1} for n in range(20)] + [{100, 101}, {100, 101}]
    queries, grades = build(chain)
    grades["20"]["0"] = grades["21"]["0"] = 1.0
    groups, notes = groups_of(queries, grades)
    assert "hang together" in notes[0]
    assert largest(groups) <= LARGEST
    assert groups[20] == groups[21]


def test_folds_are_even_and_seeded() -> None:
    """Folds are about equally large, stable for a seed, and another seed draws others."""
    groups = np.arange(100) // 2
    folds = folds_of(groups, 5, 1)
    assert np.bincount(folds).tolist() == [20] * 5
    np.testing.assert_array_equal(folds, folds_of(groups, 5, 1))
    assert (folds != folds_of(groups, 5, 2)).any()


def test_too_few_groups() -> None:
    """One group alone cannot be held out; with two there are two folds at most."""
    with pytest.raises(InvalidInput, match="at least two groups"):
        folds_of(np.zeros(9, np.int64), 5, 0)
    assert set(folds_of(np.array([0, 0, 1]), 5, 0).tolist()) == {0, 1}
