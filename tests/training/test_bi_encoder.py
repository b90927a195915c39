"""The bi-encoder's trainer: what it starts from, what it writes, and that it learns."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cascade.deadline import NEVER
from cascade.stages.bi_encoder import BiEncoder
from cascade.stages.bi_encoding.training import BiEncoderTraining
from features import columns
from features.batch import CandidateBatch, Query
from features.errors import InvalidConfig, InvalidInput, NotReady
from features.matrix import FeatureMatrix
from features.transformer.encoder import load_sentence_encoder
from tests.support import require
from training import bi_encoder
from training.dataset import StageData
from training.trainers import Context
from training.vectors import encode_corpus

NAMES = ("red", "blue", "green", "black", "white", "brown")
TRAIN = BiEncoderTraining(epochs=4, learning_rate=2e-3, step_tokens=400, negatives=3, sharpness=10.0)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder as sentence-transformers saves it."""
    require("onnx")
    require("safetensors")
    from training.bi_encode.testing import body, write_sentence_transformer

    return write_sentence_transformer(tmp_path_factory.mktemp("checkpoint") / "saved", body())


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It, exported."""
    from training.bi_encode.testing import export_encoder

    return export_encoder(tmp_path_factory.mktemp("exported") / "model", checkpoint)


def echoes(count: int, seed: int = 3) -> StageData:
    """A document that says the query's word again is relevant."""
    asked = np.random.default_rng(seed).integers(0, len(NAMES), count)
    texts = [f"{name} thing" for _ in asked for name in NAMES]
    labels = np.array([at == number for number in asked for at in range(len(NAMES))], np.float32)
    offsets = np.arange(count + 1) * len(NAMES)
    queries = tuple(Query(NAMES[number], id=f"q{at}") for at, number in enumerate(asked.tolist()))
    batch = CandidateBatch(
        queries, [str(row) for row in range(len(texts))], offsets, {"title": columns.text(texts)}
    )
    matrix = FeatureMatrix(np.empty((len(texts), 0), np.float32), (), offsets, "")
    return StageData(batch, matrix, labels, np.arange(count))


def hits(spec: BiEncoder, directory: Path) -> float:
    """How often the relevant candidate of unseen queries stands first."""
    test = echoes(60, seed=8)
    scores = spec.load(directory, ()).score(test.batch, test.matrix, NEVER).scores.reshape(60, -1)
    return float((scores.argmax(1) == test.labels.reshape(60, -1).argmax(1)).mean())


def test_an_exported_model_is_copied(exported: Path, tmp_path: Path) -> None:
    """Without training the stage's files are the model's, and no torch is needed."""
    spec = BiEncoder(name="be", fields=("title",), weights=str(exported))
    bi_encoder.ready(spec)
    assert not bi_encoder.learns(spec)
    bi_encoder.fit(spec, echoes(4), tmp_path, Context())
    assert (tmp_path / "model.onnx").read_bytes() == (exported / "model.onnx").read_bytes()
    spec.load(tmp_path, ())


def test_a_checkpoint_is_exported_with_its_own_pooling(checkpoint: Path, tmp_path: Path) -> None:
    """The directory of sentence-transformers says how; vectors have length one if it says so."""
    spec = BiEncoder(name="be", fields=("title",), weights=str(checkpoint), max_tokens=16)
    told = bi_encoder.fit(spec, echoes(20), tmp_path, Context())
    assert told["variant"] in ("int8", "int8-dynamic", "float32")
    assert load_sentence_encoder(tmp_path).model.notes.normalised


@pytest.mark.parametrize("taught", [False, True])
def test_training_learns(checkpoint: Path, tmp_path: Path, taught: bool) -> None:
    """From labels, or from a teacher alone, relevant candidates of unseen queries come to stand first."""
    require("torch")
    data, teacher = echoes(150), ""
    if taught:
        owners = [data.batch.queries[at].id for at in data.batch.query_of_row.tolist()]
        rows = {"query_id": owners, "document_id": data.batch.ids, "score": data.labels * 6}
        teacher = str(tmp_path / "teacher.parquet")
        pq.write_table(pa.table(rows), teacher)
        data = StageData(data.batch, data.matrix, np.zeros_like(data.labels), data.groups)
    train = BiEncoderTraining(
        epochs=4, learning_rate=2e-3, step_tokens=400, negatives=3, sharpness=10.0,
        teacher=teacher, teacher_weight=1.0 if taught else 0.0,
    )  # fmt: skip
    spec = BiEncoder(name="be", fields=("title",), weights=str(checkpoint), max_tokens=16, train=train)
    plain = BiEncoder(name="be", fields=("title",), weights=str(checkpoint), max_tokens=16)
    for folder, each in (("before", plain), ("after", spec)):
        (tmp_path / folder).mkdir()
        told = bi_encoder.fit(each, data, tmp_path / folder, Context())
    assert told["steps"] == told["planned"] > 0
    assert hits(spec, tmp_path / "after") > max(0.8, hits(plain, tmp_path / "before"))


def test_a_table_goes_with_the_stage(exported: Path, tmp_path: Path) -> None:
    """Its vectors are in the stage's folder; one that other settings made is refused, by its file."""
    data, file = echoes(4), tmp_path / "v.parquet"
    spec = BiEncoder(name="be", fields=("title",), weights=str(exported), table=str(file), max_tokens=16)
    encoder = load_sentence_encoder(exported, spec.reading)
    texts = spec.documents(data.batch)
    encode_corpus(data.batch.ids, texts, encoder, "", file)
    (tmp_path / "stage").mkdir()
    assert bi_encoder.fit(spec, data, tmp_path / "stage", Context())["table"] == len(texts)
    found = spec.load(tmp_path / "stage", ()).score(data.batch, data.matrix, NEVER)
    assert np.isfinite(found.scores).all()
    other = BiEncoder(name="be", fields=("title",), weights=str(exported), table=str(file), max_tokens=8)
    (tmp_path / "other").mkdir()
    with pytest.raises(InvalidInput, match=r"v\.parquet: was made by another encoder"):
        bi_encoder.fit(other, data, tmp_path / "other", Context())


def test_what_cannot_be_fitted_is_said_before_anything_is(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such directory; an exported model to train; packages that are missing."""
    with pytest.raises(InvalidConfig, match=r"be\.weights: no directory"):
        bi_encoder.ready(BiEncoder(name="be", weights=str(tmp_path / "none")))
    with pytest.raises(InvalidConfig, match="name the checkpoint"):
        bi_encoder.ready(BiEncoder(name="be", weights=str(exported), train=TRAIN))
    monkeypatch.setattr("training.material.find_spec", lambda name: None)
    with pytest.raises(NotReady, match=r"sluice\[train\]"):
        bi_encoder.ready(BiEncoder(name="be", weights=str(tmp_path), train=TRAIN))


def test_without_a_relevant_candidate_there_is_nothing_to_learn(checkpoint: Path, tmp_path: Path) -> None:
    """An error that says so, not a model of noise."""
    require("torch")
    data = echoes(4)
    spec = BiEncoder(name="be", fields=("title",), weights=str(checkpoint), train=TRAIN)
    nothing = StageData(data.batch, data.matrix, np.zeros_like(data.labels), data.groups)
    with pytest.raises(InvalidInput, match="no candidate is relevant"):
        bi_encoder.fit(spec, nothing, tmp_path, Context())
