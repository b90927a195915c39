"""Feature sets: order, states, fingerprints."""

from typing import Any

import numpy as np
import pytest

from features.batch import CandidateBatch, Query, single
from features.columns import Input, Kind, number, timestamp
from features.errors import InvalidConfig
from features.featureset import FeatureSet
from features.registry import parse_features

TABLES: list[dict[str, Any]] = [
    {"kind": "numeric", "field": "price"},
    {"kind": "retrieval", "name": "first"},
    {"kind": "recency", "field": "when", "name": "fresh"},
    {"kind": "fusion", "features": ["price_numeric", "first.score"], "name": "both"},
]


def declared(tables: list[dict[str, Any]] | None = None) -> FeatureSet:
    """The set of the given tables."""
    return FeatureSet.declare(parse_features(tables or TABLES))


def batch(newest: float = 864_000.0) -> CandidateBatch:
    """Two candidates."""
    columns = {
        "price": number([3, 1]),
        "retrieval_score": number([0.5, 0.75]),
        "when": timestamp([0, newest]),
    }
    return single(Query("q"), ["a", "b"], columns)


def test_columns_stand_in_the_order_of_declaration() -> None:
    """Outputs of a kind with several stand together, and every column holds its own feature."""
    features = declared().prepare(batch())
    matrix = features.compute(batch())
    assert matrix.names == ("price_numeric", "first.score", "first.rank", "fresh", "both")
    assert matrix.values.shape == (2, 5)
    assert matrix.column("price_numeric").tolist() == [3, 1]
    assert matrix.column("first.score").tolist() == [0.5, 0.75]
    assert matrix.column("first.rank").tolist() == [1, 2]
    np.testing.assert_allclose(matrix.column("both"), [1 / 61 + 1 / 62] * 2, rtol=1e-6)
    assert matrix.fingerprint == features.fingerprint


def test_inputs_are_the_candidates_columns_alone() -> None:
    """Each once, and none that a feature of the set computes."""
    tables = [*TABLES, {"kind": "numeric", "field": "price", "transform": "sqrt", "name": "root"}]
    assert declared(tables).inputs == (
        Input("price", Kind.NUMBER),
        Input("retrieval_score", Kind.NUMBER),
        Input("when", Kind.TIMESTAMP),
    )


def test_two_outputs_of_one_name_are_refused() -> None:
    """The path leads to the second one's name."""
    with pytest.raises(InvalidConfig, match=r"^\$\.features\[1\]\.name: .*'price_numeric'"):
        declared([TABLES[0], TABLES[0]])


def test_two_features_of_one_name_are_refused_even_where_their_outputs_differ() -> None:
    """`x` and `x.score` are different columns, but what was learned is kept by the feature's name."""
    tables = [{"kind": "retrieval", "name": "x"}, {"kind": "numeric", "field": "price", "name": "x"}]
    with pytest.raises(InvalidConfig, match=r"^\$\.features\[1\]\.name: a second feature named 'x'"):
        declared(tables)


def test_reading_a_later_feature_is_refused() -> None:
    """A feature reads what stands before it, and not itself."""
    with pytest.raises(InvalidConfig, match=r"^\$\.features\[0\]: reads 'price_numeric'"):
        declared(TABLES[::-1])
    with pytest.raises(InvalidConfig, match=r"^\$\.features\[0\]: reads 'f'"):
        declared([{"kind": "fusion", "features": ["f"], "name": "f"}])


def test_seconds_of_each_feature_are_told() -> None:
    """One figure a feature, none negative."""
    seconds = declared().prepare(batch()).compute_timed(batch())[1]
    assert list(seconds) == ["price_numeric", "first", "fresh", "both"]
    assert min(seconds.values()) >= 0.0


def test_equal_sets_have_equal_fingerprints() -> None:
    """Declared twice and prepared twice on the same corpus."""
    assert declared().fingerprint == declared().fingerprint
    assert declared().prepare(batch()).fingerprint == declared().prepare(batch()).fingerprint


def test_whatever_changes_numbers_changes_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parameters, order, names, learned state and a kind's version."""
    prints = {
        declared().fingerprint,
        declared([*TABLES[:2], {**TABLES[2], "half_life_days": 3}, TABLES[3]]).fingerprint,
        declared([TABLES[1], TABLES[0], *TABLES[2:]]).fingerprint,
        declared([*TABLES[:3], {**TABLES[3], "name": "other"}]).fingerprint,
        declared().prepare(batch()).fingerprint,
        declared().prepare(batch(newest=1.0)).fingerprint,
    }
    monkeypatch.setattr("features.kinds.numeric.Numeric.version", 2)
    assert len(prints | {declared().fingerprint}) == 7


def test_a_set_without_features_has_an_empty_matrix() -> None:
    """No columns, all rows."""
    assert FeatureSet.declare([]).compute(batch()).values.shape == (2, 0)
