"""The bi-encoder stage on a small random BERT that the packed exporter wrote."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from cascade.deadline import NEVER, Deadline
from cascade.stage import StageResult
from cascade.stages.bi_encoder import BiEncoder, LoadedBiEncoder
from cascade.stages.bi_encoding.run import NO_QUERY, NO_SCORE, NO_TEXT, NO_VECTOR
from features.batch import CandidateBatch, Query, single
from features.columns import Column, text, vector
from features.errors import InvalidConfig, InvalidInput, NotReady
from features.matrix import FeatureMatrix
from features.registry import parse
from features.transformer.table import VectorTable, load_table, save_table
from features.transformer.vector_cache import content_key
from tests.support import require

BODIES = ("red shoe", "a quiet river", "green tea", "black sky and white river", "blue thing")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported model, with calibrated int8."""
    require("onnx")
    from training.bi_encode.testing import export_encoder

    return export_encoder(tmp_path_factory.mktemp("model") / "stage")


def loaded(directory: Path, **keys: object) -> LoadedBiEncoder:
    """The stage over bodies."""
    spec = parse({"name": "be", "weights": "x", "fields": ["body"], "cache_mb": 0, **keys}, BiEncoder, "$")
    return spec.load(directory, ())


def scored(
    stage: LoadedBiEncoder,
    bodies: Sequence[str | None],
    query: str = "quiet river",
    deadline: Deadline = NEVER,
    **columns: Column,
) -> StageResult:
    """The stage's result for one query."""
    batch = single(Query(query), [str(row) for row in range(len(bodies))], {"body": text(bodies), **columns})
    return stage.score(
        batch, FeatureMatrix(np.empty((len(bodies), 0), np.float32), (), batch.offsets, ""), deadline
    )


def test_scores_are_cosines(directory: Path) -> None:
    """Of the query's vector and each document's, with their prefixes."""
    stage = loaded(directory, query_prefix="red: ", document_prefix="tea: ")
    made = stage.encoder.encode(BODIES, "tea: ") @ stage.encoder.encode(["quiet river"], "red: ")[0]
    np.testing.assert_allclose(scored(stage, BODIES).scores, made, atol=1e-6)


def test_a_dot_product_keeps_the_lengths(directory: Path, tmp_path: Path) -> None:
    """Of raw vectors, where the model does not normalise them itself."""
    require("safetensors")
    from training.bi_encode.testing import body, export_encoder, write_sentence_transformer

    raw = write_sentence_transformer(tmp_path / "raw", body(), normalised=False)
    stage = loaded(export_encoder(tmp_path / "exported", raw), similarity="dot")
    vectors, query = stage.encoder.encode(BODIES), stage.encoder.encode(["quiet river"])[0]
    assert not np.allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=0.01)
    np.testing.assert_allclose(scored(stage, BODIES).scores, vectors @ query, rtol=1e-5)


def test_each_row_is_compared_with_its_own_query(directory: Path) -> None:
    """Two queries over the same bodies, one of them without a single candidate between."""
    stage = loaded(directory)
    queries = (Query("red"), Query("nobody asked"), Query("tea"))
    columns = {"body": text([*BODIES, *BODIES])}
    batch = CandidateBatch(queries, [str(at) for at in range(10)], np.array([0, 5, 5, 10]), columns)
    both = stage.score(batch, FeatureMatrix(np.empty((10, 0), np.float32), (), batch.offsets, ""), NEVER)
    np.testing.assert_array_equal(both.scores[:5], scored(stage, BODIES, "red").scores)
    np.testing.assert_array_equal(both.scores[5:], scored(stage, BODIES, "tea").scores)


def test_items_without_text_fail_alone(directory: Path) -> None:
    """Nothing, blanks and control characters have an outcome; the others keep their scores."""
    stage = loaded(directory)
    found = scored(stage, ["red shoe", None, " ", "\x00", "green tea"])
    assert found.outcomes == {1: NO_TEXT, 2: NO_TEXT, 3: NO_TEXT}
    np.testing.assert_array_equal(found.scores[[0, 4]], scored(stage, ["red shoe", "green tea"]).scores)


def test_a_query_without_a_token_scores_nothing(directory: Path) -> None:
    """Every item says that it is the query's fault."""
    found = scored(loaded(directory), BODIES, "\x00")
    assert set(found.outcomes.values()) == {NO_QUERY}
    assert np.isnan(found.scores).all()


def test_a_model_that_yields_nan_has_an_outcome(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN from the model never reaches the order, and spoils no neighbour."""
    stage = loaded(directory)
    real = stage.encoder.scheduler.run

    def broken(*args: object, **keys: object) -> object:
        done = real(*args, **keys)  # type: ignore[arg-type]
        if len(done.values) > 1:
            done.values[1, 0] = np.nan
        return done

    monkeypatch.setattr(stage.encoder.scheduler, "run", broken)
    found = scored(stage, BODIES)
    assert list(found.outcomes.values()) == [NO_SCORE]
    assert np.isnan(found.scores).sum() == 1


def test_what_was_cut_is_told(directory: Path) -> None:
    """How many texts, and the query."""
    found = scored(loaded(directory, max_tokens=8), ["tea", "river " * 20, "sky " * 20], "red " * 20)
    assert found.warnings == ("2 texts truncated to 8 tokens", "1 query truncated to 8 tokens")


def test_the_best_of_the_previous_order_go_first(directory: Path) -> None:
    """When time runs out, what is scored is a head of the list with the scores it would have had."""
    stage = loaded(directory, batch_tokens=16)
    bodies = [f"{word} thing" for word in ("red", "blue", "green", "black", "white") for _ in range(60)]
    bodies = [f"{body} {at} river" for at, body in enumerate(bodies)]
    whole = scored(stage, bodies).scores
    reads = iter(range(10**9))
    found = scored(stage, bodies, deadline=Deadline(60.0, lambda: float(next(reads))))
    assert found.late
    assert not found.outcomes
    done = np.flatnonzero(np.isfinite(found.scores))
    np.testing.assert_array_equal(found.scores[done], whole[done])
    assert len(done) < len(bodies)
    assert not len(done) or done[-1] < len(done) + 64


def test_time_that_was_up_before_scores_nothing(directory: Path) -> None:
    """Late, and no outcome for items that nobody looked at."""
    found = scored(loaded(directory), BODIES, deadline=Deadline(0.0, lambda: 1.0))
    assert found.late
    assert not found.outcomes
    assert np.isnan(found.scores).all()


def test_documents_may_bring_their_vectors(directory: Path) -> None:
    """The query's text alone is encoded; a row without a vector has an outcome."""
    stage = loaded(directory, vectors="embedding")
    made = stage.encoder.encode(BODIES)
    rows = vector(np.concatenate([made * 3, np.full((1, made.shape[1]), np.nan)]))
    found = scored(stage, [None] * 6, embedding=rows)
    np.testing.assert_allclose(found.scores[:5], scored(loaded(directory), BODIES).scores, atol=1e-6)
    assert found.outcomes == {5: NO_VECTOR}
    assert scored(stage, [None] * 2).outcomes == {0: NO_VECTOR, 1: NO_VECTOR}


def test_vectors_of_another_dimension_are_named(directory: Path) -> None:
    """Both numbers and the column."""
    with pytest.raises(InvalidInput, match=r"^columns\.embedding: has 3 dimensions.* 32"):
        scored(loaded(directory, vectors="embedding"), ["a"], embedding=vector(np.ones((1, 3))))


@pytest.fixture
def table(directory: Path, tmp_path: Path) -> VectorTable:
    """Other vectors than the model makes, so that it shows which were used: of documents 0 to 3."""
    rows = np.random.default_rng(0).normal(size=(4, 32)).astype(np.float32)
    keys = [content_key(body) for body in BODIES[:4]]
    save_table(tmp_path, 4, 32, [(["0", "1", "2", "3"], keys, np.zeros(4, bool), rows)])
    found = load_table(tmp_path, 32)
    assert found is not None
    return found


def test_a_table_serves_what_it_knows(directory: Path, table: VectorTable) -> None:
    """Known texts cost nothing; a text that has changed since is encoded, whatever its id."""
    plain = loaded(directory)
    stage = LoadedBiEncoder(plain.spec, plain.encoder, table)
    query = plain.encoder.encode(["quiet river"])[0]
    found = scored(stage, [*BODIES[:3], "a changed text", BODIES[4]])
    lengths = np.linalg.norm(table.vectors, axis=1)
    np.testing.assert_allclose(found.scores[:3], (table.vectors @ query / lengths)[:3], atol=1e-6)
    fresh = scored(plain, ["a changed text", BODIES[4]])
    np.testing.assert_array_equal(found.scores[3:], fresh.scores)
    assert found.tokens == fresh.tokens


def test_a_table_knows_documents_by_id_where_no_text_is_sent(directory: Path, table: VectorTable) -> None:
    """Ids alone are enough for them; an unknown one has no text."""
    plain = loaded(directory)
    stage = LoadedBiEncoder(plain.spec, plain.encoder, table)
    found = scored(stage, [None] * 5)
    np.testing.assert_array_equal(found.scores[:4], scored(stage, [*BODIES[:4], None]).scores[:4])
    assert found.outcomes == {4: NO_TEXT}


@pytest.mark.parametrize(
    "keys",
    [
        {"template": "{nothing}"},
        {"vectors": "v", "table": "t.parquet"},
        {"vectors": "v", "train": {"epochs": 1}},
        {"table": "t.parquet", "train": {"epochs": 1}},
        {"train": {"loss": "margin_mse"}},
        {"similarity": "euclid"},
        {"weights": 3},
    ],
)
def test_declarations_that_cannot_be_right_are_refused(keys: dict[str, object]) -> None:
    """Before anything is loaded."""
    with pytest.raises(InvalidConfig):
        parse({"name": "be", "weights": "x", **keys}, BiEncoder, "$")


def test_a_stage_without_its_files_is_not_ready(tmp_path: Path) -> None:
    """The error names the way out."""
    with pytest.raises(NotReady, match="sluice train"):
        loaded(tmp_path)
