"""The `keyword` kind: its three readings of a keyword column."""

import numpy as np
import pytest

from features.batch import CandidateBatch, Query, Value, single
from features.columns import keyword, text
from features.errors import InvalidConfig, NotReady
from features.kinds.keyword import Keyword
from features.registry import parse_features

NAN = float("nan")
ROWS = [("Drama", "Crime"), ("comedy",), (), ("Science Fiction", "DRAMA ", "drama")]


def batch(query: str = "", **values: Value) -> CandidateBatch:
    """Four candidates with genres."""
    return single(Query(query, values), list("abcd"), {"genres": keyword(ROWS)})


def computed(batch: CandidateBatch, **parameters: object) -> list[float]:
    """The feature over `genres` without a corpus."""
    made = Keyword(name="f", field="genres", **parameters).compute(batch, {})  # type: ignore[arg-type]
    assert made.dtype == np.float32
    assert made.shape == (len(batch), 1)
    return made[:, 0].tolist()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("DRAMA", [1, 0, NAN, 1]),
        (("drama", "Comedy"), [0.5, 0.5, NAN, 0.5]),
        (("crime", "drama", "Drama"), [1, 0, NAN, 0.5]),
        ((), [NAN] * 4),
        ("", [NAN] * 4),
        (7.0, [0, 0, NAN, 0]),
    ],
)
def test_match_is_the_share_of_the_wanted_values(wanted: Value, expected: list[float]) -> None:
    """Case and outer blanks do not matter, and a value asked for twice counts once."""
    np.testing.assert_allclose(computed(batch(genre=wanted), match="genre"), expected)


def test_match_without_the_query_value_is_nan() -> None:
    """Nothing was wanted, so nothing is said."""
    assert np.isnan(computed(batch(), match="genre")).all()


def test_a_number_matches_its_text() -> None:
    """A year sent as a number finds the keyword `1999`."""
    years = single(Query("", {"year": 1999.0}), ["a"], {"genres": keyword([("1999",)])})
    assert computed(years, match="year") == [1.0]


def test_each_query_is_matched_for_itself() -> None:
    """Two queries want one genre, each of its own candidate, past a query without any."""
    queries = (Query("", {"g": "drama"}), Query(""), Query("", {"g": "drama"}))
    both = CandidateBatch(
        queries, ["a", "b"], np.array([0, 1, 1, 2]), {"genres": keyword([("Drama",), ("Western",)])}
    )
    assert computed(both, match="g") == [1.0, 0.0]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a crime film", [1, 0, NAN, 0]),
        ("fiction", [0, 0, NAN, 0.5]),
        ("science-fiction DRAMA", [1, 0, NAN, 1]),
        ("", [0, 0, NAN, 0]),
    ],
)
def test_in_query_is_the_best_share_of_a_keywords_words(query: str, expected: list[float]) -> None:
    """A keyword named in full is 1, half of its words a half, and the best of several counts."""
    np.testing.assert_allclose(computed(batch(query), in_query=True), expected)


@pytest.mark.parametrize(
    ("combine", "expected"), [("mean", [0.5, 0.25, NAN, 0.5]), ("max", [0.75, 0.25, NAN, 0.75])]
)
def test_frequency_is_the_share_of_documents(combine: str, expected: list[float]) -> None:
    """df / N of the corpus; a keyword twice in one document counts once, one never seen is 0."""
    corpus = single(
        Query(""),
        list("abcd"),
        {
            "genres": keyword(
                [("drama", "Drama"), ("Drama", "crime"), ("drama", "science fiction"), ("comedy",)]
            )
        },
    )
    feature = Keyword(name="f", field="genres", encode="frequency", combine=combine)  # type: ignore[arg-type]
    state = feature.prepare(corpus)
    np.testing.assert_allclose(feature.compute(batch(), state)[:, 0], expected)
    unseen = single(Query(""), ["a"], {"genres": keyword([("western",)])})
    assert feature.compute(unseen, state).tolist() == [[0.0]]


def test_frequencies_of_an_empty_corpus_are_zero() -> None:
    """Nothing was seen, which is known, so a keyword's frequency is 0 and a missing one's is NaN."""
    feature = Keyword(name="f", field="genres", encode="frequency")
    state = feature.prepare(CandidateBatch((), [], np.array([0])))
    np.testing.assert_array_equal(feature.compute(batch(), state)[:, 0], [0, 0, NAN, 0])


def test_frequencies_need_a_corpus() -> None:
    """Without one the set is not ready, and says which step is missing."""
    with pytest.raises(NotReady, match="prepare"):
        computed(batch(), encode="frequency")


def test_text_reads_as_one_keyword() -> None:
    """A text column, say a brand, needs no list around its value."""
    brands = single(Query("", {"b": "acme"}), list("ab"), {"genres": text(["ACME", None])})
    np.testing.assert_array_equal(computed(brands, match="b"), [1.0, NAN])


@pytest.mark.parametrize(
    "parameters",
    [{}, {"match": "g", "in_query": True}, {"match": "g", "encode": "frequency"}, {"encode": "hash"}],
)
def test_exactly_one_reading_is_declared(parameters: dict[str, object]) -> None:
    """None, two or an unknown one is a configuration error at the feature's table."""
    with pytest.raises(InvalidConfig, match=r"^\$\.features\[0\]"):
        parse_features([{"kind": "keyword", "field": "genres", **parameters}])
