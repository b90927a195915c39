"""BM25F says what its formula says."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.batch import CandidateBatch, Query, single
from features.columns import text
from features.errors import InvalidConfig
from features.kinds.bm25 import Bm25
from features.kinds.bm25f import Bm25f
from features.registry import parse_features
from features.text import plain

WORDS = st.lists(st.sampled_from(["red", "green", "blue", "Grün"]), max_size=6).map(" ".join)
ROWS = st.lists(st.tuples(st.none() | WORDS, st.none() | WORDS), max_size=6)
WEIGHTS = {"title": 2.5, "body": 1.0}
B = {"title": 0.4, "body": 0.75}

Row = tuple[str | None, str | None]


def batch_of(query: str, rows: list[Row]) -> CandidateBatch:
    """One query's candidates with the columns `title` and `body`."""
    columns = {"title": text([row[0] for row in rows]), "body": text([row[1] for row in rows])}
    return single(Query(query), [str(i) for i in range(len(rows))], columns)


def by_formula(query: str, rows: list[Row], corpus: list[Row]) -> list[float]:
    """The docstring's formula, word by word."""
    known = [row for row in corpus if row != (None, None)]
    lengths = [
        [len(plain.words(value)) for value in field if value is not None]
        for field in zip(*corpus, strict=True)
    ]
    averages = [sum(one) / max(len(one), 1) for one in lengths] or [0.0, 0.0]
    scores = []
    for row in rows:
        total = 0.0
        for term in plain.words(query):
            df = sum(any(term in plain.words(value or "") for value in one) for one in known)
            pseudo = 0.0
            for f, name in enumerate(("title", "body")):
                words = plain.words(row[f] or "")
                relative = len(words) / averages[f] if averages[f] else 1.0
                pseudo += WEIGHTS[name] * words.count(term) / (1 - B[name] + B[name] * relative)
            total += math.log(1 + (len(known) - df + 0.5) / (df + 0.5)) * pseudo / (1.2 + pseudo)
        scores.append(math.nan if row == (None, None) else total)
    return scores


@given(WORDS, ROWS, ROWS)
@settings(deadline=None, max_examples=150)
def test_scores_are_the_formula(query: str, rows: list[Row], corpus: list[Row]) -> None:
    """Scores over a learned corpus equal the formula with weights and b by field."""
    feature = Bm25f(name="f", fields=WEIGHTS, b=B)
    made = feature.compute(batch_of(query, rows), feature.prepare(batch_of("", corpus)))
    np.testing.assert_allclose(made[:, 0], np.array(by_formula(query, rows, corpus), np.float32), rtol=1e-5)


@given(WORDS, ROWS)
@settings(deadline=None, max_examples=60)
def test_candidate_statistics_are_those_of_the_list(query: str, rows: list[Row]) -> None:
    """With `statistics = "candidates"` the query's own candidates are the corpus."""
    feature = Bm25f(name="f", fields=WEIGHTS, b=B, statistics="candidates")
    made = feature.compute(batch_of(query, rows), {})
    np.testing.assert_allclose(made[:, 0], np.array(by_formula(query, rows, rows), np.float32), rtol=1e-5)


@given(WORDS, ROWS)
@settings(deadline=None, max_examples=60)
def test_one_field_of_weight_one_is_bm25(query: str, rows: list[Row]) -> None:
    """BM25F over one field gives BM25's bytes."""
    batch = batch_of(query, rows)
    one, many = Bm25(name="f", field="body"), Bm25f(name="f", fields={"body": 1.0})
    state = one.prepare(batch)
    assert one.compute(batch, state).tobytes() == many.compute(batch, many.prepare(batch)).tobytes()


def test_a_missing_field_adds_nothing() -> None:
    """A row with one of its fields has a score; one without any is missing."""
    batch = batch_of("red", [("red", None), (None, "red"), (None, None), ("", None)])
    feature = Bm25f(name="f", fields=WEIGHTS)
    made = feature.compute(batch, feature.prepare(batch))[:, 0]
    assert made[0] > made[1] > 0
    assert np.isnan(made[2])
    assert made[3] == 0


@pytest.mark.parametrize(
    "table",
    [
        {"fields": {}},
        {"fields": {"title": 0.0}},
        {"fields": {"title": 1.0}, "b": {"titel": 0.5}},
        {"fields": {"title": 1.0}, "b": 2.0},
    ],
)
def test_wrong_parameters_are_refused(table: dict[str, object]) -> None:
    """No fields, a weight of 0, a b for an unknown field or out of range are errors of the config."""
    with pytest.raises(InvalidConfig, match=r"\$\.features\[0\]"):
        parse_features([{"kind": "bm25f", "name": "f", **table}])
