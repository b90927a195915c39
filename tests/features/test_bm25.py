"""BM25 says what its formula says."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.batch import CandidateBatch, Query, single
from features.columns import text
from features.errors import InvalidConfig, NotReady
from features.featureset import FeatureSet
from features.kinds.bm25 import Bm25
from features.registry import parse_features
from features.text import plain

WORDS = st.lists(st.sampled_from(["red", "green", "blue", "Grün", "red_1"]), max_size=8).map(" ".join)
BODIES = st.lists(st.none() | WORDS, max_size=8)


def batch_of(query: str, bodies: list[str | None]) -> CandidateBatch:
    """One query's candidates with the column `body`."""
    return single(Query(query), [str(i) for i in range(len(bodies))], {"body": text(bodies)})


def by_formula(
    query: str, bodies: list[str | None], corpus: list[str | None], k1: float, b: float
) -> list[float]:
    """The docstring's formula, word by word."""
    known = [plain.words(body) for body in corpus if body is not None]
    average = sum(map(len, known)) / max(len(known), 1)
    scores = []
    for body in bodies:
        words, total = plain.words(body or ""), 0.0
        for term in plain.words(query):
            df, tf = sum(term in one for one in known), words.count(term)
            idf = math.log(1 + (len(known) - df + 0.5) / (df + 0.5))
            norm = k1 * (1 - b + b * (len(words) / average if average else 1.0))
            total += idf * tf / (tf + norm) if tf else 0.0
        scores.append(math.nan if body is None else total)
    return scores


@given(WORDS, BODIES, BODIES, st.sampled_from([0.5, 1.2]), st.sampled_from([0.0, 0.75, 1.0]))
@settings(deadline=None, max_examples=200)
def test_scores_are_the_formula(
    query: str, bodies: list[str | None], corpus: list[str | None], k1: float, b: float
) -> None:
    """Scores over a learned corpus equal the formula, repeated query words and missing texts included."""
    feature = Bm25(name="f", field="body", k1=k1, b=b)
    made = feature.compute(batch_of(query, bodies), feature.prepare(batch_of("", corpus)))
    expected = np.array(by_formula(query, bodies, corpus, k1, b), np.float32)[:, None]
    np.testing.assert_allclose(made, expected, rtol=1e-5)


@given(WORDS, BODIES)
@settings(deadline=None, max_examples=100)
def test_candidate_statistics_are_those_of_the_list(query: str, bodies: list[str | None]) -> None:
    """With `statistics = "candidates"` the query's own candidates are the corpus."""
    feature = Bm25(name="f", field="body", statistics="candidates")
    made = feature.compute(batch_of(query, bodies), {})
    expected = np.array(by_formula(query, bodies, bodies, 1.2, 0.75), np.float32)[:, None]
    np.testing.assert_allclose(made, expected, rtol=1e-5)


def test_queries_of_a_batch_do_not_touch_each_other() -> None:
    """Candidate statistics of one query are blind to the candidates of another."""
    feature = Bm25(name="f", field="body", statistics="candidates")
    lists: list[tuple[str, list[str | None]]] = [
        ("red", ["red", "blue red"]),
        ("", []),
        ("blue", ["red", "blue"]),
    ]
    rows = [body for _, bodies in lists for body in bodies]
    queries = tuple(Query(query) for query, _ in lists)
    whole = CandidateBatch(queries, list("abcd"), np.array([0, 2, 2, 4]), {"body": text(rows)})
    alone = [feature.compute(batch_of(query, bodies), {}) for query, bodies in lists]
    assert feature.compute(whole, {}).tobytes() == np.concatenate(alone).tobytes()


def test_only_candidate_statistics_are_listwise() -> None:
    """A row depends on its neighbours only where they are the statistics."""
    assert not Bm25(name="f", field="body").listwise
    assert Bm25(name="f", field="body", statistics="candidates").listwise


def test_an_unprepared_corpus_says_what_to_do() -> None:
    """Without a learned corpus the error names the feature and both ways out."""
    feature = Bm25(name="title", field="body")
    with pytest.raises(NotReady, match=r'features\.title: .*prepare.*statistics = "candidates"'):
        feature.compute(batch_of("red", ["red"]), {})


def test_missing_is_not_empty() -> None:
    """A missing text is NaN, an empty one 0; a column that is not there is missing in every row."""
    feature = Bm25(name="f", field="body")
    state = feature.prepare(batch_of("", ["red", None, ""]))
    assert state["documents"].tolist() == [2]
    assert np.isnan(feature.compute(batch_of("red", ["", None, "x"]), state)[:, 0]).tolist() == [
        False,
        True,
        False,
    ]
    assert np.isnan(feature.compute(single(Query("red"), ["a"], {}), state)).all()


def test_a_prepared_set_has_another_fingerprint_for_another_corpus() -> None:
    """What was learned is part of the fingerprint."""
    declared = FeatureSet.declare([Bm25(name="f", field="body")])
    first, second = (declared.prepare(batch_of("", [body])) for body in ("red", "red red"))
    assert len({declared.fingerprint, first.fingerprint, second.fingerprint}) == 3


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("k1", 0, "k1: Expected `float` > 0"),
        ("b", 1.5, "b: Expected `float` <= 1"),
        ("language", "klingon", "no stemmer for 'klingon'"),
        ("statistics", "none", "statistics: Invalid enum value 'none'"),
    ],
)
def test_wrong_parameters_are_named(key: str, value: object, message: str) -> None:
    """A parameter out of range is refused with its path."""
    table = {"kind": "bm25", "field": "body", "stem": True, key: value}
    with pytest.raises(InvalidConfig, match=rf"^\$\.features\[0\].*{message.split(': ')[-1]}"):
        parse_features([table])


def test_parameters_come_back_from_their_encoding() -> None:
    """The declared struct survives JSON."""
    feature = Bm25(name="f", field="body", language="german", stem=True)
    assert msgspec.json.decode(msgspec.json.encode(feature), type=Bm25) == feature
