"""Our metrics are ir_measures', under the conventions that are stated."""

from math import log2

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import RR, R, nDCG

from features.errors import InvalidInput
from training.metrics import Conventions, Judge

grades = st.dictionaries(
    st.sampled_from(["q1", "q2", "q3"]),
    st.dictionaries(st.sampled_from("abcdefghijklmno"), st.integers(0, 3), min_size=1),
    min_size=1,
)


@settings(deadline=None, max_examples=60)
@given(grades, st.permutations("abcdefghijklmno"), st.integers(1, 15))
def test_means_equal_ir_measures(judged: dict[str, dict[str, int]], order: list[str], length: int) -> None:
    """nDCG@10, MRR@10 and recall of a run equal ir_measures' aggregate over the same run and judgments."""
    judge = Judge.of(judged, (5, 10), Conventions(no_relevant="zero"))
    lists = dict.fromkeys(judged, order[:length])
    found = judge.measure(lists).means()
    run = {query: {doc: -float(place) for place, doc in enumerate(each)} for query, each in lists.items()}
    wanted = ir_measures.calc_aggregate([nDCG @ 10, RR @ 10, R @ 5, R @ 10], judged, run)
    assert found["nDCG@10"] == pytest.approx(wanted[nDCG @ 10])
    assert found["MRR@10"] == pytest.approx(wanted[RR @ 10])
    assert found["recall@5"] == pytest.approx(wanted[R @ 5])
    assert found["recall@10"] == pytest.approx(wanted[R @ 10])


def test_gains_by_hand() -> None:
    """Linear gain takes the grade, exponential 2^g - 1, both over the ideal order of all judged documents."""
    judged = {"q": {"a": 3.0, "b": 1.0, "c": 0.0, "d": 2.0}}
    lists = {"q": ["c", "b", "a"]}
    linear = Judge.of(judged, (10,), Conventions()).measure(lists)["nDCG@10"][0]
    assert linear == pytest.approx((1 / log2(3) + 3 / 2) / (3 + 2 / log2(3) + 1 / 2))
    exponential = Judge.of(judged, (10,), Conventions("exponential")).measure(lists)["nDCG@10"][0]
    assert exponential == pytest.approx((1 / log2(3) + 7 / 2) / (7 + 3 / log2(3) + 1 / 2))


@pytest.mark.parametrize(("choice", "mean", "counted"), [("skip", 1.0, 1), ("zero", 0.5, 2), ("one", 1.0, 2)])
def test_queries_without_relevant_documents(choice: str, mean: float, counted: int) -> None:
    """They are left out, or count 0 or 1 in every metric, and are always reported."""
    judged = {"q": {"a": 1.0}, "alone": {"a": 0.0}}
    judge = Judge.of(judged, (10,), Conventions(no_relevant=choice))  # type: ignore[arg-type]
    assert (len(judge.queries), judge.alone) == (counted, 1)
    means = judge.measure({"q": ["a"], "alone": ["a"]}).means()
    assert means == {"nDCG@10": mean, "MRR@10": mean, "recall@10": mean}


def test_a_query_without_candidates_counts_as_0() -> None:
    """A query whose candidates are missing stays in the mean."""
    judge = Judge.of({"q": {"a": 1.0}, "r": {"b": 1.0}}, (10,), Conventions())
    np.testing.assert_array_equal(judge.measure({"q": ["a"]})["nDCG@10"], [1, 0])


def test_long_lists_keep_their_order() -> None:
    """Ten thousand candidates stay in the order given, without ties in a float32."""
    documents = [f"d{place}" for place in range(10_000)]
    judge = Judge.of({"q": {"d9": 1.0}}, (9_999, 10), Conventions())
    assert judge.measure({"q": documents})["recall@10"][0] == 1
    assert judge.measure({"q": documents})["MRR@10"][0] == pytest.approx(0.1)


def test_nothing_to_judge() -> None:
    """Without any relevant document there is nothing to measure; fractional grades have no gain."""
    with pytest.raises(InvalidInput, match="no query has a relevant document"):
        Judge.of({"q": {"a": 0.0}}, (10,), Conventions())
    with pytest.raises(InvalidInput, match="whole grades"):
        Judge.of({"q": {"a": 1.5}}, (10,), Conventions()).measure({"q": ["a"]})
