"""Kinds by name, and tables parsed into frozen values."""

import pytest

from features.errors import InvalidConfig
from features.kinds.numeric import Numeric
from features.registry import FEATURES, find, kinds, parse_features


def test_a_kind_is_found_by_its_entry_point() -> None:
    """The installed distribution names it."""
    assert find(FEATURES, "numeric", "$") is Numeric
    assert "numeric" in kinds(FEATURES)


def test_a_misspelt_kind_gets_the_nearest_one() -> None:
    """The message has the path, the nearest kind and all there are."""
    with pytest.raises(InvalidConfig, match=r"^\$\.features\[0\]\.kind: .*'numeric'\?.*recency"):
        parse_features([{"kind": "numerc", "field": "x"}])


@pytest.mark.parametrize("table", [{}, {"kind": 3}, "numeric", None])
def test_a_table_without_a_kind_is_refused(table: object) -> None:
    """By its position."""
    with pytest.raises(InvalidConfig, match=r"^\$\.features\[0\]\.kind"):
        parse_features([table])


def test_names_come_from_fields_or_positions() -> None:
    """A nameless feature is named after what it reads, or where it stands."""
    tables = [
        {"kind": "numeric", "field": "price"},
        {"kind": "retrieval"},
        {"kind": "numeric", "field": "a", "name": "b"},
    ]
    assert [feature.name for feature in parse_features(tables)] == ["price_numeric", "retrieval_1", "b"]


@pytest.mark.parametrize(
    ("extra", "pattern"),
    [
        (
            {"fild": "x"},
            r"^\$\.features\[1\]: .*`fild`; did you mean 'field'\? there are kind, field, .*clip",
        ),
        ({"field": 3}, r"^\$\.features\[1\]\.field: Expected `str`"),
        ({"clip": [0, "x"]}, r"^\$\.features\[1\]\.clip\[1\]"),
        ({"clip": [3, 1]}, r"^\$\.features\[1\]: clip must be"),
    ],
)
def test_errors_carry_the_path_of_the_key(extra: dict[str, object], pattern: str) -> None:
    """Unknown keys, wrong types and broken constraints, in the second of two tables."""
    table = {"kind": "numeric", "field": "x"}
    with pytest.raises(InvalidConfig, match=pattern):
        parse_features([table, {**table, "name": "second", **extra}])


def test_a_missing_parameter_is_named() -> None:
    """The message says which one."""
    with pytest.raises(InvalidConfig, match="`field`"):
        parse_features([{"kind": "numeric"}])


@pytest.mark.parametrize("tables", [{"kind": "numeric"}, "numeric", 3])
def test_features_must_be_a_list_of_tables(tables: object) -> None:
    """`[features]` in place of `[[features]]` is a configuration error, not a crash."""
    with pytest.raises(InvalidConfig, match=r"^\$\.features"):
        parse_features(tables)
