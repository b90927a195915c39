"""Every registered feature kind against the laws of `features/feature.py`.

A new kind needs an entry in `EXAMPLES`, or the first test fails.
"""

import io
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import columns
from features.batch import CandidateBatch, Query, single
from features.columns import Floats
from features.errors import InvalidConfig
from features.feature import Feature, State
from features.registry import FEATURES, find, kinds, parse_features
from features.testing import WORDS, random_batch, tiny_encoder

ENCODER = "<the encoder of these tests>"

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "affinity": [{"field": "genres"}],
    "behaviour": [{"of": "item"}, {"of": "item", "statistic": "count"}],
    "bm25": [
        {"field": "title"},
        {"field": "body", "stem": True, "stop_words": True, "k1": 0.9, "b": 0.4},
        {"field": "body", "statistics": "candidates"},
    ],
    "bm25f": [
        {"fields": {"title": 2.0, "body": 1.0}},
        {"fields": {"title": 1.0, "body": 3.0}, "b": {"title": 0.2}, "statistics": "candidates"},
    ],
    "fusion": [
        {"features": ["a", "b"]},
        {"features": ["a", "b"], "method": "minmax", "weights": [1.0, 3.0]},
        {"features": ["a", "b"], "method": "zscore"},
        {"features": ["a", "b"], "method": "convex"},
    ],
    "keyword": [
        {"field": "genres", "match": "genre"},
        {"field": "genres", "encode": "frequency", "combine": "max"},
        {"field": "genres", "in_query": True},
    ],
    "length": [{"field": "title"}, {"field": "body", "log1p": True}],
    "ngram": [{"field": "title"}, {"field": "body", "measure": "containment"}],
    "numeric": [{"field": "price"}, {"field": "price", "transform": "log1p", "clip": [-5.0, 50.0]}],
    "overlap": [{"field": "title"}, {"field": "body", "stem": True}],
    "recency": [{"field": "released", "half_life_days": 30.0}],
    "retrieval": [{}],
    "semantic": [
        {"field": "embedding", "vector": "embedding"},
        {"fields": ["title", "body"], "encoder": ENCODER},
        {"fields": ["title", "body"], "encoder": ENCODER, "combine": "max"},
    ],
    "taste": [{"field": "embedding"}],
}
CASES = [(kind, i) for kind, examples in EXAMPLES.items() for i in range(len(examples))]

FROM_ORDER = {"retrieval": ("feature.rank",)}
"""Outputs that read the order of the request itself, which permuting it therefore changes."""

NAN = float("nan")


def batches(complete: bool = False) -> st.SearchStrategy[CandidateBatch]:
    """Batches of up to three queries with up to five candidates each."""
    sizes = st.lists(st.integers(0, 5), min_size=1, max_size=3)
    return st.builds(random_batch, sizes, st.integers(0, 1_000_000), st.just(complete))


CORPUS = single(
    Query(""),
    list("abc"),
    {
        "title": columns.text(["red sea", "the moon", None]),
        "body": columns.text(["ships on the sea", None, "crime and drama"]),
        "genres": columns.keyword([["Drama"], ["drama", "Crime"], []]),
        "released": columns.timestamp([1e9, NAN, 5e8]),
    },
)
EMPTY_CORPUS = single(Query(""), [], {})


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file of a small encoder that knows every word of these tests."""
    pieces = tuple(dict.fromkeys((*map(str.lower, WORDS), ".", *"abcdefghijklmnopqrstuvwxyz")))
    return str(tiny_encoder(tmp_path_factory.mktemp("encoder") / "encoder.npz", pieces))


@pytest.fixture(scope="module", params=CASES, ids=[f"{kind}-{i}" for kind, i in CASES])
def table(request: pytest.FixtureRequest, encoder: str) -> dict[str, Any]:
    """One example, as a configuration would have it."""
    kind, i = request.param
    filled = {key: encoder if value == ENCODER else value for key, value in EXAMPLES[kind][i].items()}
    return {"kind": kind, "name": "feature", **filled}


@pytest.fixture(scope="module")
def feature(table: dict[str, Any]) -> Feature:
    """The example, parsed."""
    return parse_features([table])[0]


@pytest.fixture(scope="module")
def state(feature: Feature) -> State:
    """What the example learns from the corpus of these tests."""
    return feature.prepare(CORPUS)


def all_rows(batch: CandidateBatch) -> CandidateBatch:
    """The same rows without any derived view."""
    return batch.take(np.arange(len(batch)))


def assert_equal_bytes(left: Floats, right: Floats) -> None:
    """Equal to the bit, NaN included; shown as numbers where they are not."""
    np.testing.assert_array_equal(left, right)
    assert left.tobytes() == right.tobytes()


def unchanged(now: Any, then: Any) -> bool:
    """Whether a column's values are the same, NaN included."""
    if isinstance(now, np.ndarray):
        return now.tobytes() == then.tobytes()
    return bool(now == then)


def test_every_registered_kind_has_examples() -> None:
    """A kind without one would escape the laws."""
    assert set(EXAMPLES) == set(kinds(FEATURES))


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_a_kind_knows_its_name_and_explains_itself(kind: str) -> None:
    """The class's kind is its entry point's name, and its docstring is longer than a line."""
    found = find(FEATURES, kind, "$")
    assert issubclass(found, Feature)
    assert found.kind == kind
    assert len((found.__doc__ or "").splitlines()) > 2


@settings(max_examples=10, deadline=None)
@given(batches())
def test_a_row_a_candidate_a_column_an_output_and_never_infinite(
    feature: Feature, state: State, batch: CandidateBatch
) -> None:
    """float32[n, outputs], finite or NaN, whatever is missing."""
    made = feature.compute(batch, state)
    assert made.shape == (len(batch), len(feature.outputs))
    assert made.dtype == np.float32
    assert not np.isinf(made).any()
    assert all(name == feature.name or name.startswith(f"{feature.name}.") for name in feature.outputs)
    assert len(set(feature.outputs)) == len(feature.outputs)


@settings(max_examples=10, deadline=None)
@given(batches(complete=True))
def test_nothing_is_nan_where_nothing_is_missing(
    feature: Feature, state: State, batch: CandidateBatch
) -> None:
    """NaN is for missing input alone."""
    assert not np.isnan(feature.compute(batch, state)).any()


@settings(max_examples=5, deadline=None)
@given(batches())
def test_missing_is_nan_and_never_zero(feature: Feature, state: State, batch: CandidateBatch) -> None:
    """Without any column every output is NaN, except those that need none."""
    bare = CandidateBatch(batch.queries, batch.ids, batch.offsets)
    made = feature.compute(bare, state)
    for position, name in enumerate(feature.outputs):
        if name not in FROM_ORDER.get(feature.kind, ()):
            assert np.isnan(made[:, position]).all()


@settings(max_examples=10, deadline=None)
@given(batches(), st.data())
def test_taking_rows_commutes_with_computing(
    feature: Feature, state: State, batch: CandidateBatch, data: st.DataObject
) -> None:
    """compute(take(b)) = take(compute(b)): for any rows, and for whole queries where a kind is listwise."""
    keep = data.draw(st.lists(st.booleans(), min_size=len(batch), max_size=len(batch)))
    if feature.listwise:
        chosen = data.draw(st.lists(st.booleans(), min_size=len(batch.queries), max_size=len(batch.queries)))
        keep = np.array(chosen)[batch.query_of_row].tolist()
    rows = np.flatnonzero(keep)
    assert_equal_bytes(feature.compute(batch.take(rows), state), feature.compute(batch, state)[rows])


@settings(max_examples=10, deadline=None)
@given(batches(), st.randoms(use_true_random=False))
def test_permuting_candidates_permutes_rows(
    feature: Feature, state: State, batch: CandidateBatch, random: Random
) -> None:
    """The order within a query changes no bit of any row, except where the order itself is read."""
    keys = [random.random() for _ in range(len(batch))]
    rows = np.lexsort((keys, batch.query_of_row))
    made, straight = feature.compute(batch.take(rows), state), feature.compute(batch, state)[rows]
    exempt = FROM_ORDER.get(feature.kind, ())
    same = [position for position, name in enumerate(feature.outputs) if name not in exempt]
    assert_equal_bytes(made[:, same], straight[:, same])


@settings(max_examples=10, deadline=None)
@given(batches())
def test_rows_do_not_depend_on_other_queries(feature: Feature, state: State, batch: CandidateBatch) -> None:
    """Each query alone gives the bytes that it has among the others: what serving and training do."""
    together = feature.compute(batch, state)
    for query in range(len(batch.queries)):
        alone = feature.compute(batch.only(query), state)
        assert_equal_bytes(alone, together[batch.offsets[query] : batch.offsets[query + 1]])


@settings(max_examples=6, deadline=None)
@given(batches())
def test_the_same_input_gives_the_same_bytes_and_is_left_alone(
    feature: Feature, state: State, batch: CandidateBatch
) -> None:
    """Twice on one batch, and once on a copy made before: neither batch nor state has changed."""
    before, learned = all_rows(batch), {name: array.copy() for name, array in state.items()}
    first = feature.compute(batch, state)
    assert_equal_bytes(feature.compute(batch, state), first)
    assert set(batch.columns) == set(before.columns)
    for name, column in batch.columns.items():
        assert unchanged(column.values, before.columns[name].values)
    assert_equal_bytes(feature.compute(before, learned), first)
    for name, array in state.items():
        np.testing.assert_array_equal(array, learned[name])


@settings(max_examples=6, deadline=None)
@given(batches())
def test_only_declared_columns_are_read(feature: Feature, state: State, batch: CandidateBatch) -> None:
    """Columns that are not among the inputs change nothing, so the plan check sees all there is."""
    wanted = {read.name for read in feature.inputs}
    fewer = {name: column for name, column in batch.columns.items() if name in wanted}
    narrow = CandidateBatch(batch.queries, batch.ids, batch.offsets, fewer)
    assert_equal_bytes(feature.compute(narrow, state), feature.compute(batch, state))


@settings(max_examples=5, deadline=None)
@given(batches())
def test_what_is_learned_survives_saving_without_pickle(
    feature: Feature, state: State, batch: CandidateBatch
) -> None:
    """State is plain arrays, learned the same twice, and computes the same after a round trip to disk."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **state)
    with np.load(io.BytesIO(file.getvalue()), allow_pickle=False) as loaded:
        saved = {name: loaded[name] for name in loaded.files}
    again = feature.prepare(CORPUS)
    assert {name: array.tobytes() for name, array in again.items()} == {
        name: array.tobytes() for name, array in saved.items()
    }
    assert_equal_bytes(feature.compute(batch, saved), feature.compute(batch, state))


def test_batches_without_candidates_and_without_queries(feature: Feature, state: State) -> None:
    """No rows in, no rows out."""
    for asked in ((), (Query("red sea"),), (Query(""), Query("x"))):
        empty = CandidateBatch(asked, [], np.zeros(len(asked) + 1, np.int64))
        assert feature.compute(empty, state).shape == (0, len(feature.outputs))


def test_a_corpus_without_documents_can_be_learned(feature: Feature) -> None:
    """What it teaches computes, finite or NaN."""
    batch = CORPUS.with_columns({})
    assert not np.isinf(feature.compute(batch, feature.prepare(EMPTY_CORPUS))).any()


def test_parameters_survive_a_round_trip(table: dict[str, Any], feature: Feature) -> None:
    """parse → encode → parse gives an equal value, defaults included."""
    encoded = msgspec.json.decode(msgspec.json.encode(feature))
    encoded = {key: value for key, value in encoded.items() if value is not None}
    assert parse_features([{"kind": table["kind"], **encoded}]) == (feature,)


def test_an_unknown_parameter_is_an_error_with_a_path(table: dict[str, Any], feature: Feature) -> None:
    """A typo is named, with the table that it stands in."""
    with pytest.raises(InvalidConfig, match=r"^\$\.features\[1\]: .*`feild`"):
        parse_features([{**table, "name": "other"}, {**table, "feild": 1}])


def test_features_are_values(feature: Feature) -> None:
    """Frozen: a parameter cannot be changed after parsing."""
    with pytest.raises(AttributeError):
        feature.name = "other"  # type: ignore[misc]
