"""The `recency` kind: half-lives, and where its now comes from."""

import numpy as np
import pytest

from features.batch import CandidateBatch, Query, Value, single
from features.columns import text, timestamp
from features.errors import InvalidConfig, InvalidInput, NotReady
from features.kinds.recency import DAY_S, Recency
from features.registry import parse_features

NOW = 1_700_000_000.0
FEATURE = Recency(name="fresh", field="released", half_life_days=10)


def batch(*ages_days: float, **values: Value) -> CandidateBatch:
    """Candidates of the given ages in days before `NOW`."""
    times = timestamp([NOW - age * DAY_S for age in ages_days])
    return single(Query("q", values), [str(i) for i in range(len(ages_days))], {"released": times})


def test_the_value_halves_with_every_half_life() -> None:
    """Ages of 0, 10, 20 and 5 days give 1, 1/2, 1/4 and 2^-1/2; the future is now; missing is NaN."""
    made = FEATURE.compute(batch(0, 10, 20, 5, -3, np.nan, now=NOW), {})[:, 0]
    np.testing.assert_allclose(made, [1, 0.5, 0.25, 2**-0.5, 1, np.nan], rtol=1e-6)
    assert made.dtype == np.float32


def test_now_is_the_querys_and_may_be_an_iso_date() -> None:
    """Seconds and an ISO 8601 text of the same moment give the same bytes."""
    seconds = FEATURE.compute(batch(1, 2, now=NOW), {})
    iso = FEATURE.compute(batch(1, 2, now="2023-11-14T22:13:20Z"), {})
    assert seconds.tobytes() == iso.tobytes()


def test_each_query_has_its_own_now() -> None:
    """Two queries ten days apart see the same document one half-life apart."""
    queries = (Query("a", {"now": NOW}), Query("b", {"now": NOW + 10 * DAY_S}))
    both = CandidateBatch(queries, ["x", "x"], np.array([0, 1, 2]), {"released": timestamp([NOW, NOW])})
    np.testing.assert_allclose(FEATURE.compute(both, {})[:, 0], [1.0, 0.5])


def test_without_a_now_it_is_the_newest_of_the_corpus() -> None:
    """A judged collection is asked at the time of its newest document."""
    corpus = batch(30, 0, np.nan)
    state = FEATURE.prepare(corpus)
    np.testing.assert_allclose(FEATURE.compute(batch(10), state)[:, 0], [0.5])
    np.testing.assert_allclose(FEATURE.compute(batch(10, now=NOW + 10 * DAY_S), state)[:, 0], [0.25])


def test_neither_a_now_nor_a_corpus_is_not_ready() -> None:
    """The clock of the process is never asked."""
    with pytest.raises(NotReady, match="now"):
        FEATURE.compute(batch(1), {})


def test_a_corpus_without_timestamps_gives_nan() -> None:
    """Nothing is known, so nothing is said."""
    state = FEATURE.prepare(batch(np.nan))
    assert np.isnan(FEATURE.compute(batch(1), state)).all()


@pytest.mark.parametrize("now", ["tomorrow", float("inf"), float("nan"), ("2024-01-01", "2025-01-01")])
def test_a_now_that_is_no_time_is_named(now: Value) -> None:
    """The error carries the path of the query's value."""
    with pytest.raises(InvalidInput, match=r"^queries\[0\]\.values\.now"):
        FEATURE.compute(batch(1, now=now), {})


def test_iso_texts_are_read_as_timestamps() -> None:
    """A text column of dates serves, and one that is no date is named by column and row."""
    dates = single(Query("q", {"now": "2024-01-11"}), ["a"], {"released": text(["2024-01-01"])})
    np.testing.assert_allclose(FEATURE.compute(dates, {})[:, 0], [0.5])
    wrong = single(Query("q", {"now": NOW}), ["a"], {"released": text(["soon"])})
    with pytest.raises(InvalidInput, match=r"^columns\.released\[0\]"):
        FEATURE.compute(wrong, {})


def test_a_half_life_must_be_above_zero() -> None:
    """Zero days would divide by zero."""
    with pytest.raises(InvalidConfig, match=r"\$\.features\[0\]\.half_life_days"):
        parse_features([{"kind": "recency", "field": "released", "half_life_days": 0}])
