"""The cross-encoder's trainer: what it draws, what it writes, and that it learns."""

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cascade.deadline import NEVER
from cascade.stages.cross_encoder import CrossEncoder
from cascade.stages.cross_encoding.training import CrossEncoderTraining
from cascade.stages.embedded import embedded_model, embedded_sentences
from features import columns
from features.batch import CandidateBatch, Query
from features.errors import InvalidConfig, InvalidInput, NotReady
from features.matrix import FeatureMatrix
from features.transformer.model import MODEL
from tests.support import require
from training import cross_encoder
from training.dataset import StageData
from training.lists import Draws, parted
from training.material import taught
from training.trainers import Context

TRAIN = CrossEncoderTraining(epochs=1, positives=1, negatives=3, learning_rate=2e-3, step_tokens=300)


def data_of(texts: list[list[str]], labels: list[list[float]], queries: list[str]) -> StageData:
    """Candidates of some queries, with no feature."""
    sizes = [len(each) for each in texts]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    every = [text for each in texts for text in each]
    batch = CandidateBatch(
        tuple(Query(text, id=text) for text in queries),
        [str(row) for row in range(len(every))],
        offsets,
        {"title": columns.text(every)},
    )
    matrix = FeatureMatrix(np.empty((len(every), 0), np.float32), (), offsets, "")
    grades = np.array([grade for each in labels for grade in each], np.float32)
    return StageData(batch, matrix, grades, np.arange(len(queries)))


def echoes(count: int) -> StageData:
    """A document that says the query's word again is relevant: a rule that attention learns fast."""
    rng = np.random.default_rng(3)
    names = ["red", "blue", "green", "black", "white", "brown"]
    asked = rng.integers(0, len(names), count)
    texts = [[f"{name} thing" for name in names] for _ in asked]
    labels = [[float(at == number) for at in range(len(names))] for number in asked]
    return data_of(texts, labels, [names[number] for number in asked])


def test_with_no_epochs_the_embedded_weights_are_copied(tmp_path: Path) -> None:
    """Without fine-tuning the stage's files are those of the package, and no torch is needed."""
    spec = CrossEncoder(name="ce", fields=("title",))
    assert not cross_encoder.learns(spec)
    cross_encoder.fit(spec, echoes(4), tmp_path, Context())
    assert (tmp_path / MODEL).read_bytes() == (embedded_model() / MODEL).read_bytes()
    spec.load(tmp_path, ())


def test_weights_that_name_nothing_are_an_error(tmp_path: Path) -> None:
    """A misspelt directory is named with its key."""
    spec = CrossEncoder(name="ce", fields=("title",), weights="no-such-directory")
    with pytest.raises(InvalidConfig, match=r"ce\.weights"):
        cross_encoder.fit(spec, echoes(4), tmp_path, Context())


def test_what_is_missing_is_said_before_anything_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without torch a fine-tuned stage is refused at once, with the way out."""
    monkeypatch.setattr("training.material.find_spec", lambda name: None)
    with pytest.raises(NotReady, match=r"sluice\[train\]"):
        cross_encoder.ready(CrossEncoder(name="ce", fields=("title",), train=TRAIN))
    cross_encoder.ready(CrossEncoder(name="ce", fields=("title",)))


def test_weights_that_do_not_fit_are_refused_before_anything_is_fitted(tiny: Path, tmp_path: Path) -> None:
    """A sentence encoder, and pairs longer than the positions of a model or a checkpoint."""
    with pytest.raises(InvalidConfig, match=r"ce\.weights: gives vectors of texts, not scores of pairs"):
        cross_encoder.ready(CrossEncoder(name="ce", weights=str(embedded_sentences())))
    too_long = r"ce\.max_tokens: is 1024 where the model of weights reads at most"
    for weights in ("embedded", str(tiny)):
        with pytest.raises(InvalidConfig, match=too_long):
            cross_encoder.ready(CrossEncoder(name="ce", weights=weights, max_tokens=1024))


def test_fine_tuning_learns_and_exports(tmp_path: Path) -> None:
    """After some passes over an easy rule, relevant candidates stand first; the same seed repeats."""
    require("torch")
    require("onnx")
    from training.export.checkpoint import write_checkpoint
    from training.export.testing import random_checkpoint, wordpiece

    words = ["red", "blue", "green", "black", "white", "brown", "thing"]
    start = tmp_path / "start"
    write_checkpoint(random_checkpoint(wordpiece(words), hidden=32, positions=32), start)
    spec = CrossEncoder(
        name="ce", fields=("title",), weights=str(start), max_tokens=16, query_tokens=4,
        train=msgspec.structs.replace(TRAIN, epochs=6.0),
    )  # fmt: skip
    data = echoes(200)
    told = []
    for run in ("one", "two"):
        (tmp_path / run).mkdir()
        told.append(cross_encoder.fit(spec, data, tmp_path / run, Context()))
    assert told[0] == told[1]
    test = echoes(60)
    scores = spec.load(tmp_path / "one", ()).score(test.batch, test.matrix, NEVER).scores.reshape(60, -1)
    hits = (scores.argmax(1) == test.labels.reshape(60, -1).argmax(1)).mean()
    assert hits > 0.8


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a random checkpoint of four layers."""
    require("torch")
    require("onnx")
    from training.export.checkpoint import write_checkpoint
    from training.export.testing import random_checkpoint, wordpiece

    words = ["red", "blue", "green", "black", "white", "brown", "thing"]
    start: Path = tmp_path_factory.mktemp("tiny") / "start"
    write_checkpoint(random_checkpoint(wordpiece(words), layers=4, hidden=32, positions=32), start)
    return start


def scores_file(path: Path, data: StageData, scores: np.ndarray) -> str:
    """A teacher's file for all rows of a batch."""
    owners = [data.batch.queries[query].id for query in data.batch.query_of_row.tolist()]
    documents = data.batch.columns["title"].values
    pairs = dict(zip(zip(owners, documents, strict=True), scores.tolist(), strict=True))
    names = {"query_id": [q for q, _ in pairs], "document": [d for _, d in pairs]}
    pq.write_table(pa.table(names | {"score": list(pairs.values())}), path)
    return str(path)


def test_a_student_is_distilled_from_scores_alone(tiny: Path, tmp_path: Path) -> None:
    """Two of four layers, half the neurons, and only a teacher: the student ranks as the teacher does."""
    data = echoes(200)
    unlabelled = StageData(data.batch, data.matrix, np.zeros_like(data.labels), data.groups)
    file = scores_file(tmp_path / "scores.parquet", data, 6 * data.labels - 3)
    train = msgspec.structs.replace(
        TRAIN,
        epochs=6.0,
        loss="margin_mse",
        teacher=file,
        teacher_weight=1.0,
        layers=2,
        inner=64,
        held_out=0.1,
    )
    spec = CrossEncoder(
        name="ce", fields=("title",), weights=str(tiny), max_tokens=16, query_tokens=4, train=train
    )
    (tmp_path / "out").mkdir()
    told = cross_encoder.fit(spec, unlabelled, tmp_path / "out", Context())
    assert told["student"] == {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 64}
    assert told["taught"] == 1.0
    assert told["held_out_queries"] > 8
    assert told["curve"][-1]["held_out_loss"] < told["curve"][0]["held_out_loss"] / 4
    assert told["curve"][-1]["ndcg"] is None
    test = echoes(60)
    scores = spec.load(tmp_path / "out", ()).score(test.batch, test.matrix, NEVER).scores.reshape(60, -1)
    assert (scores.argmax(1) == test.labels.reshape(60, -1).argmax(1)).mean() > 0.8


def test_a_teacher_of_something_else_is_refused(tiny: Path, tmp_path: Path) -> None:
    """Scores of other texts teach nothing, ranks have no margins, and a missing file is said at once."""
    data = echoes(12)
    file = scores_file(tmp_path / "scores.parquet", data, data.labels)
    other = data_of([["x", "y"]] * 12, [[1, 0]] * 12, [f"q{at}" for at in range(12)])
    spec = CrossEncoder(
        name="ce",
        fields=("title",),
        weights=str(tiny),
        max_tokens=32,
        query_tokens=8,
        train=msgspec.structs.replace(TRAIN, teacher=file),
    )
    with pytest.raises(InvalidInput, match="knows no two candidates of any query"):
        taught(spec.train, other, ["x", "y"] * 12, cross_encoder.BY_ORDER)
    pq.write_table(pa.table({"query": ["a", "a"], "document": ["b", "c"], "rank": [1, 2]}), file)
    margins = msgspec.structs.replace(spec.train, loss="margin_mse")
    with pytest.raises(InvalidInput, match="has ranks alone"):
        taught(margins, data, [], cross_encoder.BY_ORDER)
    gone = msgspec.structs.replace(spec.train, teacher=str(tmp_path / "none.parquet"))
    with pytest.raises(InvalidInput, match="no such file"):
        cross_encoder.ready(msgspec.structs.replace(spec, train=gone))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"epochs": 1, "loss": "margin_mse"}, "needs a teacher's scores"),
        ({"epochs": 1, "patience": 2, "held_out": 0.0}, "patience needs held-out queries"),
        ({"layers": 2}, "has to be trained"),
        ({"epochs": 1, "loss": "lambda"}, "Invalid enum value"),
        ({"epochs": 1, "teacher_weight": 2.0}, "<= 1"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(table: dict[str, object], message: str) -> None:
    """What could not be trained as declared is an error where it is declared."""
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(table, CrossEncoderTraining)


def test_a_stage_without_relevant_candidates_cannot_learn(tmp_path: Path) -> None:
    """Nothing relevant is an error that says so, not a model of noise."""
    require("torch")
    require("onnx")
    spec = CrossEncoder(name="ce", fields=("title",), train=TRAIN)
    data = echoes(4)
    nothing = StageData(data.batch, data.matrix, np.zeros_like(data.labels), data.groups)
    with pytest.raises(InvalidInput, match="no candidate is relevant"):
        cross_encoder.fit(spec, nothing, tmp_path, Context())


def test_lists_hold_the_relevant_and_the_wanted_number_of_others() -> None:
    """One relevant candidate with three others, gains 2^grade - 1; queries of one grade are left out."""
    data = data_of([["a", "b", "c", "d", "e"], ["a", "b"]], [[0, 2, 0, 1, 0], [1, 1]], ["q", "r"])
    lists = Draws(data, ["a", "b", "c", "d", "e", "a", "b"], TRAIN)(0)
    assert [one.query for one in lists] == ["q"]
    assert len(lists[0].documents) == 4
    assert sorted(lists[0].targets.tolist()) in ([0, 0, 0, 1], [0, 0, 0, 3])


def test_each_epoch_draws_anew_unless_told_otherwise() -> None:
    """Lists are a function of seed and epoch; with `redraw = false` all epochs have the first one's."""
    data = echoes(20)
    documents = [f"{row}" for row in range(len(data.labels))]
    draws = Draws(data, documents, TRAIN)
    drawn = [[one.documents for one in draws(epoch)] for epoch in (0, 1, 0)]
    assert drawn[0] == drawn[2] != drawn[1]
    same = Draws(data, documents, msgspec.structs.replace(TRAIN, redraw=False))
    assert [one.documents for one in same(1)] == drawn[0]


def test_lists_carry_what_the_teacher_says_of_their_documents() -> None:
    """A drawn document has the score of its row; queries without labels are drawn if two have scores."""
    data = data_of(
        [["a", "b", "c"], ["d", "e", "f"], ["g", "h"]], [[1, 0, 0], [0] * 3, [0] * 2], ["q", "r", "s"]
    )
    documents = list("abcdefgh")
    teacher = np.array([5, np.nan, 2, 1, 7, np.nan, 3, np.nan], np.float32)
    lists = Draws(data, documents, TRAIN, teacher)(0)
    assert [one.query for one in lists] == ["q", "r"]
    for one in lists:
        assert one.teacher is not None
        rows = [documents.index(text) for text in one.documents]
        np.testing.assert_array_equal(one.teacher, teacher[rows])
    assert sorted(lists[1].documents) == ["d", "e"]
    alone = Draws(data, documents, msgspec.structs.replace(TRAIN, teacher_weight=1.0), teacher)(0)
    assert sorted(alone[0].documents) == ["a", "c"]


def test_held_out_queries_share_no_group_with_the_others() -> None:
    """Groups stay whole, about the declared share is held out, and few queries are all learned from."""
    data = echoes(200)
    grouped = StageData(data.batch, data.matrix, data.labels, np.arange(200) // 5)
    learn, held = parted(grouped, msgspec.structs.replace(TRAIN, held_out=0.1), 7)
    assert 10 <= len(held) <= 30
    assert len(learn) + len(held) == 200
    assert not set(grouped.groups[learn].tolist()) & set(grouped.groups[held].tolist())
    assert len(parted(echoes(20), TRAIN, 7)[1]) == 0


def test_a_large_group_is_not_held_out_whole() -> None:
    """Where half the queries hang together, the curve is still measured on no more than was asked for."""
    data = echoes(200)
    groups = np.where(np.arange(200) < 100, 0, np.arange(200))
    grouped = StageData(data.batch, data.matrix, data.labels, groups)
    learn, held = parted(grouped, msgspec.structs.replace(TRAIN, held_out=0.05), 7)
    assert 5 <= len(held) <= 15
    assert len(learn) + len(held) == 200


@pytest.mark.parametrize("query", ["red", "red blue green black white brown thing red blue"])
@pytest.mark.parametrize("document", ["thing", "thing red blue green black white brown thing red blue"])
def test_training_reads_the_pairs_that_serving_reads(query: str, document: str) -> None:
    """Cut by the same rule: what a model learns from has the tokens that it will be asked about."""
    require("torch")
    from tokenizers import Tokenizer

    from features.transformer.tokens import Pairing, TokenCache
    from features.transformer.wordpiece import WordPieces
    from training.export.layouts import layout_of
    from training.export.testing import wordpiece
    from training.tuning.batches import List, Texts

    source = wordpiece(["red", "blue", "green", "black", "white", "brown", "thing"])
    layout = layout_of(source)
    one = List(query, (document,), np.ones(1, np.float32))
    texts = Texts(Tokenizer.from_str(source), layout, 12, 4)
    texts.learn([one])
    (pair,) = texts.pairs(one)
    serving = Pairing(WordPieces.load(source.encode()), layout, 12, 4, TokenCache(1_000_000))
    served = serving.pairs(query, [document])[0][0]
    assert pair.ids.tolist() == served.ids.tolist()
    assert pair.second == served.second
    assert texts.size(one) == len(served)
