"""The `semantic` kind: vectors that the caller sends, and vectors of texts."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from cascade.states import load_states, save_states
from features.batch import CandidateBatch, Query, single
from features.columns import text, vector
from features.encoder import load_encoder
from features.errors import InvalidConfig, InvalidInput, NotReady
from features.featureset import FeatureSet
from features.kinds.semantic import Semantic
from features.registry import parse_features
from features.testing import random_batch, tiny_encoder
from features.transformer.encoder import load_sentence_encoder
from tests.support import require

NAN = float("nan")
SENT = Semantic(name="f", field="embedding", vector="query")
PIECES = ("red", "ship", "sea", "moon", "green", ".")


def sent(rows: list[list[float]], query: list[float] | None) -> CandidateBatch:
    """Candidates with vectors, and a query with or without one."""
    vectors = {} if query is None else {"query": np.array(query, np.float32)}
    columns = {"embedding": vector(np.array(rows, np.float32))}
    return single(Query("q", vectors=vectors), [str(i) for i in range(len(rows))], columns)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A small encoder's file."""
    return str(tiny_encoder(tmp_path / "encoder.npz", PIECES))


@pytest.fixture
def batch() -> CandidateBatch:
    """Four candidates with two text fields, one of them with neither."""
    columns = {
        "title": text(["red ship", None, "moon", None]),
        "body": text(["the sea", "green moon", "", None]),
    }
    return single(Query("red moon"), list("abcd"), columns)


def test_cosine_of_sent_vectors() -> None:
    """Parallel, orthogonal, opposite and 45 degrees; zero and missing vectors have no direction."""
    made = SENT.compute(sent([[3, 0], [0, 2], [-1, 0], [1, 1], [0, 0], [NAN, NAN]], [2, 0]), {})
    np.testing.assert_allclose(made[:, 0], [1, 0, -1, 2**-0.5, NAN, NAN], rtol=1e-6)
    assert made.dtype == np.float32


@pytest.mark.parametrize("query", [None, [0, 0], [NAN, 1]])
def test_a_query_without_a_direction_gives_nan(query: list[float] | None) -> None:
    """No vector, a zero one, or one with a gap: nothing can be said of any candidate."""
    assert np.isnan(SENT.compute(sent([[1, 0]], query), {})).all()


def test_no_vector_column_is_missing_in_every_row() -> None:
    """A caller that sends only the query's vector gets NaN, not an error."""
    query = Query("q", vectors={"query": np.ones(3, np.float32)})
    assert np.isnan(SENT.compute(single(query, ["a"], {}), {})).all()


def test_dimensions_that_differ_name_the_column() -> None:
    """Two against three is the caller's error, with both numbers and the column's path."""
    with pytest.raises(InvalidInput, match=r"^columns\.embedding: has 2 .*3"):
        SENT.compute(sent([[1, 0]], [1, 0, 0]), {})


def test_an_infinite_query_vector_is_named() -> None:
    """The path leads to the query's vector."""
    with pytest.raises(InvalidInput, match=r"^queries\[0\]\.vectors\.query"):
        SENT.compute(sent([[1, 0]], [np.inf, 0]), {})


def test_each_query_has_its_own_vector() -> None:
    """Two queries, one candidate vector, two cosines."""
    queries = tuple(Query("", vectors={"query": np.array(v, np.float32)}) for v in ([1, 0], [0, 1]))
    rows = vector(np.array([[1, 0], [1, 0]], np.float32))
    both = CandidateBatch(queries, list("ab"), np.array([0, 1, 2]), {"embedding": rows})
    assert SENT.compute(both, {})[:, 0].tolist() == [1.0, 0.0]


def test_texts_go_through_the_encoder(path: str, batch: CandidateBatch) -> None:
    """The joined fields' vector beside the query's, fields that are missing left out of the join."""
    feature = Semantic(name="f", fields=("title", "body"), encoder=path)
    made = feature.compute(batch, feature.prepare(batch))[:, 0]
    encoder = load_encoder(path)
    documents = encoder.encode(["red ship. the sea", "green moon", "moon", None])
    np.testing.assert_allclose(made, documents @ encoder.encode(["red moon"])[0], atol=1e-6)
    assert np.isnan(made).tolist() == [False, False, False, True]


def test_max_takes_the_nearest_field(path: str, batch: CandidateBatch) -> None:
    """The larger of the fields' own cosines, over the fields that are there."""
    best = Semantic(name="f", fields=("title", "body"), encoder=path, combine="max")
    alone = [Semantic(name="f", field=field, encoder=path) for field in ("title", "body")]
    state = best.prepare(batch)
    each = [feature.compute(batch, state) for feature in alone]
    np.testing.assert_array_equal(best.compute(batch, state), np.fmax(*each))


def test_an_empty_query_has_no_meaning(path: str, batch: CandidateBatch) -> None:
    """All NaN, since the query has no known word."""
    feature = Semantic(name="f", field="title", encoder=path)
    asked = single(Query("xyzzy"), batch.ids, batch.columns)
    assert np.isnan(feature.compute(asked, feature.prepare(batch))).all()


def test_a_set_computes_only_with_the_encoder_it_was_prepared_with(
    path: str, tmp_path: Path, batch: CandidateBatch
) -> None:
    """Another file under the same declaration is NotReady; so is a set that was never prepared."""
    other = str(tiny_encoder(tmp_path / "other.npz", PIECES, seed=9))
    feature = Semantic(name="f", field="title", encoder=path)
    foreign = Semantic(name="f", field="title", encoder=other).prepare(batch)
    for state in (foreign, {}):
        with pytest.raises(NotReady, match=r"^features\.f: .*another encoder"):
            feature.compute(batch, state)


def test_the_encoder_is_part_of_the_sets_fingerprint(path: str, batch: CandidateBatch) -> None:
    """The same declaration over a replaced file is another set."""
    feature = Semantic(name="f", field="title", encoder=path)
    features = FeatureSet.declare([feature]).prepare(batch)
    replaced = FeatureSet((feature,), {"f": {"encoder": features.states["f"]["encoder"][::-1]}})
    assert features.fingerprint != replaced.fingerprint
    assert FeatureSet.declare([feature]).fingerprint != features.fingerprint


def test_texts_are_encoded_once_a_batch(
    path: str, batch: CandidateBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two features over one field share its vectors."""
    feature = Semantic(name="f", field="title", encoder=path)
    state = feature.prepare(batch)
    first = feature.compute(batch, state)
    monkeypatch.setattr("features.kinds.semantic.joined", lambda *_: pytest.fail("encoded a second time"))
    assert feature.compute(batch, state).tobytes() == first.tobytes()


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"field": "a", "fields": ["b"]},
        {"vector": "q", "fields": ["a", "b"]},
        {"vector": "q", "field": "a", "encoder": "x.npz"},
        {"field": "a", "combine": "sum"},
    ],
)
def test_declarations_that_cannot_be_right_are_refused_by_path(parameters: dict[str, object]) -> None:
    """A configuration error that starts at the feature's table."""
    with pytest.raises(InvalidConfig, match=r"^\$\.features\[0\]"):
        parse_features([{"kind": "semantic", **parameters}])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an exported sentence encoder."""
    require("onnx")
    from training.bi_encode.testing import export_encoder

    return export_encoder(tmp_path_factory.mktemp("model") / "encoder")


def test_an_exported_encoder_travels_as_state(exported: Path, batch: CandidateBatch, tmp_path: Path) -> None:
    """Saved with a set, it computes the same bytes where its directory is no more."""
    directory = tmp_path / "model"
    shutil.copytree(exported, directory)
    feature = Semantic(name="f", fields=("title", "body"), encoder=str(directory))
    prepared = FeatureSet.declare([feature]).prepare(batch)
    first = prepared.compute(batch).values
    save_states(tmp_path, prepared)
    shutil.rmtree(directory)
    loaded = load_states(tmp_path, FeatureSet.declare([feature]))
    assert loaded.fingerprint == prepared.fingerprint
    np.testing.assert_array_equal(loaded.compute(batch).values, first)
    documents = load_sentence_encoder(exported).encode(["red ship. the sea", "green moon", "moon", None])
    query = load_sentence_encoder(exported).encode(["red moon"])[0]
    np.testing.assert_allclose(first[:, 0], documents @ query, atol=1e-6)


def test_an_exported_encoder_keeps_the_laws(exported: Path) -> None:
    """A row's value is its own to the bit, whatever its company, with prefixes and with the nearest field."""
    feature = Semantic(
        name="f", fields=("title", "body"), encoder=str(exported), combine="max", query_prefix="red: ",
        document_prefix="the ", cache_mb=0,
    )  # fmt: skip
    state = feature.prepare(random_batch([], 0, False))
    many = random_batch([4, 0, 3], 5, False)
    whole = feature.compute(many, state)
    assert feature.tolerance > Semantic(name="f", field="title").tolerance
    for row in range(len(many)):
        np.testing.assert_array_equal(
            feature.compute(many.take(np.array([row])), state), whole[row : row + 1]
        )


def test_an_encoder_that_depends_on_its_company_is_refused(batch: CandidateBatch, tmp_path: Path) -> None:
    """A feature's value is a row's own; a model in full precision is for a stage."""
    require("onnx")
    from training.bi_encode.testing import export_encoder

    loose = export_encoder(tmp_path / "loose", variant="float32")
    with pytest.raises(NotReady, match="bi_encoder stage"):
        Semantic(name="f", field="title", encoder=str(loose)).prepare(batch)


def test_a_state_without_its_model_is_not_ready(exported: Path, batch: CandidateBatch) -> None:
    """A lost file of the state is named."""
    feature = Semantic(name="f", field="title", encoder=str(exported))
    state = {name: array for name, array in feature.prepare(batch).items() if name != "tokenizer.json"}
    with pytest.raises(NotReady, match=r"no tokenizer\.json"):
        feature.compute(batch, state)
