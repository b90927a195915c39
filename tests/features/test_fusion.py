"""The `fusion` kind against straightforward loops over queries, and its rules for ties and gaps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.batch import CandidateBatch, Query
from features.columns import Floats, number
from features.errors import InvalidConfig
from features.featureset import FeatureSet
from features.kinds.fusion import Fusion
from features.registry import parse_features

NAN = float("nan")
VALUE = st.one_of(
    st.just(NAN), st.sampled_from([0.0, 0.1, 1.0, -2.0]), st.floats(-(2.0**99), 2.0**99, width=32)
)
LISTS = st.lists(st.lists(st.tuples(VALUE, VALUE), max_size=6), max_size=4)


def fused(lists: list[list[tuple[float, float]]], **parameters: object) -> Floats:
    """float32[n]: the fusion of two inputs, `a` and `b`, over several queries' lists."""
    (feature,) = parse_features([{"kind": "fusion", "features": ["a", "b"], **parameters}])
    rows = [pair for one in lists for pair in one]
    table = np.array(rows, np.float32).reshape(len(rows), 2)
    columns = {"feature.a": number(table[:, 0]), "feature.b": number(table[:, 1])}
    offsets = np.cumsum([0, *map(len, lists)])
    queries = tuple(Query("") for _ in lists)
    batch = CandidateBatch(queries, [str(i) for i in range(len(rows))], offsets, columns)
    return feature.compute(batch, {})[:, 0]


def one_list(values: list[float], method: str, k: float) -> list[float]:
    """The shares of one input in one query, by the definitions."""
    known = [value for value in values if not np.isnan(value)]
    if not known:
        return [0.0] * len(values)
    low, high, mean, deviation = min(known), max(known), np.mean(known), np.std(known)
    shares = []
    for value in values:
        rank = 1 + sum(other > value for other in known)
        value_or_low = low if np.isnan(value) else value
        if method == "rrf":
            shares.append(0.0 if np.isnan(value) else 1.0 / (k + rank))
        elif method == "minmax":
            scaled = 0.5 if high == low else (value - low) / (high - low)
            shares.append(0.0 if np.isnan(value) else scaled)
        elif method == "zscore":
            shares.append(0.0 if high == low else (value_or_low - mean) / deviation)
        else:
            shares.append(value_or_low)
    return shares


@settings(max_examples=150, deadline=None)
@given(LISTS, st.sampled_from(["rrf", "minmax", "zscore", "convex"]))
def test_every_method_equals_its_definition(lists: list[list[tuple[float, float]]], method: str) -> None:
    """Vectorised or looped over candidates: the same numbers, and NaN where every input is missing."""
    made = fused(lists, method=method, weights=[3, 1], k=10)
    weights = [3.0, 1.0] if method == "rrf" else [0.75, 0.25]
    expected: list[float] = []
    for pairs in lists:
        single = [[float(np.float32(pair[i])) for pair in pairs] for i in (0, 1)]
        shares = [one_list(values, method, 10) for values in single]
        for row, pair in enumerate(pairs):
            total = sum(weight * share[row] for weight, share in zip(weights, shares, strict=True))
            expected.append(NAN if np.isnan(pair).all() else total)
    np.testing.assert_allclose(made, np.array(expected, np.float32), rtol=1e-4, atol=1e-6)


def test_reciprocal_rank_fusion_as_in_the_paper() -> None:
    """Ranks (1, 2) and (2, 1) tie at 1/61 + 1/62, and a third gets 2/63."""
    made = fused([[(9, 5), (8, 6), (1, 1)]])
    np.testing.assert_allclose(made, [1 / 61 + 1 / 62, 1 / 61 + 1 / 62, 2 / 63], rtol=1e-6)


def test_ties_share_the_best_rank() -> None:
    """Two equal values are both first, and the next is third."""
    made = fused([[(5, NAN), (5, NAN), (1, NAN)]])
    np.testing.assert_allclose(made, [1 / 61, 1 / 61, 1 / 63], rtol=1e-6)


def test_what_is_missing_in_one_input_ranks_by_the_other() -> None:
    """A candidate that one list lacks still has its share of the other; one that both lack is NaN."""
    made = fused([[(9, NAN), (NAN, 9), (NAN, NAN)]])
    np.testing.assert_allclose(made, [1 / 61, 1 / 61, NAN], rtol=1e-6)


@pytest.mark.parametrize("method", ["rrf", "minmax", "zscore", "convex"])
def test_the_order_of_candidates_changes_no_bit(method: str) -> None:
    """Sums run over sorted values, so permuting the list permutes the bytes."""
    random = np.random.default_rng(5)
    pairs = [tuple(pair) for pair in random.normal(size=(50, 2)).astype(np.float32).tolist()]
    order = random.permutation(50)
    straight = fused([pairs], method=method)
    assert fused([[pairs[i] for i in order]], method=method).tobytes() == straight[order].tobytes()


def test_equal_values_that_a_mean_would_round_have_no_spread() -> None:
    """Three times 0.1 is a z-score of 0, not the noise of a mean in floating point."""
    assert fused([[(0.1, 0.1)] * 3], method="zscore").tolist() == [0.0] * 3


def test_it_reads_features_of_its_own_set() -> None:
    """Within a set, inputs are the outputs before it; a name that is not there is a configuration error."""
    tables = [
        {"kind": "numeric", "field": "x", "name": "a"},
        {"kind": "fusion", "features": ["a"], "method": "minmax", "name": "f"},
    ]
    batch = CandidateBatch((Query(""),), list("pq"), np.array([0, 2]), {"x": number([4.0, 2.0])})
    matrix = FeatureSet.declare(parse_features(tables)).compute(batch)
    assert matrix.column("f").tolist() == [1.0, 0.0]
    with pytest.raises(InvalidConfig, match=r"\$\.features\[0\].*'a'"):
        FeatureSet.declare(parse_features(tables[::-1]))


@pytest.mark.parametrize(
    "parameters",
    [
        {"features": []},
        {"weights": [1.0]},
        {"weights": [0, 0]},
        {"weights": [-1, 2]},
        {"weights": [float("nan"), 1]},
        {"k": -1},
        {"method": "sum"},
    ],
)
def test_parameters_that_cannot_be_right_are_refused_by_path(parameters: dict[str, object]) -> None:
    """A configuration error that starts at the feature's table."""
    with pytest.raises(InvalidConfig, match=r"^\$\.features\[0\]"):
        parse_features([{"kind": "fusion", "features": ["a", "b"], **parameters}])


def test_fusion_is_listwise() -> None:
    """It says so, since a row depends on the list around it."""
    assert Fusion(name="f", features=("a",)).listwise
