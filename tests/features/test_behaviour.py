"""Rates, affinities and tastes, number by number."""

import math
from typing import Any

import numpy as np
import pytest

from features.batch import CandidateBatch, Query, single
from features.columns import keyword, number, vector
from features.errors import InvalidConfig
from features.feature import Feature
from features.registry import parse_features

NAN = math.nan


def feature(**table: Any) -> Feature:
    """A feature as a configuration has it."""
    return parse_features([{"name": "f", **table}])[0]


def batch(genres: list[list[str]] | None = None, **columns: list[float]) -> CandidateBatch:
    """Candidates with counts; `_` stands for a dot."""
    rows = len(next(iter(columns.values())))
    made = {"behaviour." + name.replace("__", "."): number(values) for name, values in columns.items()}
    if genres is not None:
        made["genres"] = keyword(genres)
    return single(Query("x"), [str(row) for row in range(rows)], made)


def computed(one: Feature, on: CandidateBatch) -> list[float]:
    """Its only column."""
    found: list[float] = one.compute(on, {})[:, 0].tolist()
    return found


def test_a_rate_is_drawn_to_the_tenants() -> None:
    """(c + α·r0) / (n + α) with r0 = (C + 1) / (N + 2), written out."""
    on = batch(
        item__click__long=[0.0, 5.0, 500.0, NAN],
        item__impression__long=[0.0, 10.0, 1_000.0, NAN],
        tenant__click__long=[99.0] * 4,
        tenant__impression__long=[998.0] * 4,
    )
    made = computed(feature(kind="behaviour", of="item", prior=20.0), on)
    assert made[:3] == pytest.approx([0.1, (5 + 2) / (10 + 20), (500 + 2) / (1_000 + 20)])
    assert math.isnan(made[3])


def test_a_rate_may_be_per_click() -> None:
    """Purchases a click, in the recent window."""
    one = feature(
        kind="behaviour", of="query_item", signal="purchase", per="click", window="recent", prior=2.0
    )
    assert [read.name for read in one.inputs] == [
        "behaviour.query_item.purchase.recent",
        "behaviour.query_item.click.recent",
        "behaviour.tenant.purchase.recent",
        "behaviour.tenant.click.recent",
    ]
    on = batch(
        query_item__purchase__recent=[1.0],
        query_item__click__recent=[4.0],
        tenant__purchase__recent=[0.0],
        tenant__click__recent=[0.0],
    )
    assert computed(one, on) == pytest.approx([(1 + 2 * 0.5) / (4 + 2)])


def test_a_count_is_as_it_is() -> None:
    """And never below 0."""
    one = feature(kind="behaviour", of="session_item", statistic="count", signal="impression")
    assert computed(one, batch(session_item__impression__long=[3.5, 0.0, -1.0])) == [3.5, 0.0, 0.0]


def test_affinity_is_neutral_until_something_is_known() -> None:
    """A stranger, or a value never shown to them, is 0; liking is above, disliking below, none is missing."""
    on = batch(
        [["crime"], ["drama"], ["horror"], []],
        user_field__click__long__genres=[8.0, 0.0, 0.0, 0.0],
        user_field__impression__long__genres=[10.0, 10.0, 0.0, 0.0],
        user__click__long=[8.0] * 4,
        user__impression__long=[20.0] * 4,
        tenant__click__long=[100.0] * 4,
        tenant__impression__long=[1_000.0] * 4,
    )
    made = computed(feature(kind="affinity", field="genres", prior=10.0), on)
    usual = 101 / 1_002
    own = (8 + 10 * usual) / (20 + 10)
    assert made[0] == pytest.approx(math.log((8 + 10 * own) / 20 / own), rel=1e-5)
    assert made[1] == pytest.approx(math.log((10 * own) / 20 / own), rel=1e-5)
    assert made[0] > 0 > made[1]
    assert made[2] == pytest.approx(0.0, abs=1e-6)
    assert math.isnan(made[3])


def test_taste_is_the_cosine_as_joined() -> None:
    """Within [-1, 1], missing where it is."""
    on = batch(user_vector__cosine__recent__embedding=[0.5, 1.5, NAN])
    on = on.with_columns({"embedding": vector(np.ones((3, 2)))})
    made = computed(feature(kind="taste", field="embedding", window="recent"), on)
    assert made[:2] == [0.5, 1.0]
    assert math.isnan(made[2])


@pytest.mark.parametrize(
    "table",
    [
        {"kind": "behaviour", "of": "moon"},
        {"kind": "behaviour", "of": "item", "signal": "likes"},
        {"kind": "behaviour", "of": "item", "prior": 0},
        {"kind": "affinity", "field": "genres", "of": "item"},
        {"kind": "taste", "field": "embedding", "of": "query"},
    ],
)
def test_what_is_not_counted_cannot_be_asked_for(table: dict[str, Any]) -> None:
    """Scopes, signals and strengths are checked when the cascade is read."""
    with pytest.raises(InvalidConfig, match=r"\$\.features\[0\]"):
        feature(**table)
