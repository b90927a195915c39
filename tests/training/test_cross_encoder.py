"""The cross-encoder's trainer: what it draws, what it writes, and that it learns."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from cascade.deadline import NEVER
from cascade.stages.cross_encoder import CrossEncoder, CrossEncoderTraining
from features import columns
from features.batch import CandidateBatch, Query
from features.errors import InvalidConfig, InvalidInput, NotReady
from features.matrix import FeatureMatrix
from tests.support import require
from training import cross_encoder
from training.dataset import StageData
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
    assert spec.load(tmp_path, ()).notes.digest


def test_weights_that_name_nothing_are_an_error(tmp_path: Path) -> None:
    """A misspelt directory is named with its key."""
    spec = CrossEncoder(name="ce", fields=("title",), weights="no-such-directory")
    with pytest.raises(InvalidConfig, match=r"ce\.weights"):
        cross_encoder.fit(spec, echoes(4), tmp_path, Context())


def test_what_is_missing_is_said_before_anything_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without torch a fine-tuned stage is refused at once, with the way out."""
    monkeypatch.setattr(cross_encoder, "find_spec", lambda name: None)
    with pytest.raises(NotReady, match=r"sluice\[train\]"):
        cross_encoder.ready(CrossEncoder(name="ce", fields=("title",), train=TRAIN))
    cross_encoder.ready(CrossEncoder(name="ce", fields=("title",)))


def test_fine_tuning_learns_and_exports(tmp_path: Path) -> None:
    """After some passes over an easy rule, relevant candidates stand first; the same seed repeats."""
    require("torch")
    require("onnx")
    from training.export.testing import random_checkpoint, wordpiece
    from training.packed_bert import write_checkpoint

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
    require("torch")
    from training.lists import listed

    data = data_of([["a", "b", "c", "d", "e"], ["a", "b"]], [[0, 2, 0, 1, 0], [1, 1]], ["q", "r"])
    lists = listed(data, ["a", "b", "c", "d", "e", "a", "b"], TRAIN)
    assert [one.query for one in lists] == ["q"]
    assert len(lists[0].documents) == 4
    assert sorted(lists[0].targets.tolist()) in ([0, 0, 0, 1], [0, 0, 0, 3])


@pytest.mark.parametrize("query", ["red", "red blue green black white brown thing red blue"])
@pytest.mark.parametrize("document", ["thing", "thing red blue green black white brown thing red blue"])
def test_training_reads_the_pairs_that_serving_reads(query: str, document: str) -> None:
    """Cut by the same rule: what a model learns from has the tokens that it will be asked about."""
    require("torch")
    from tokenizers import Tokenizer

    from training.export.run import pairing
    from training.export.testing import wordpiece
    from training.fine_tune import List, Tuning, encode

    source = wordpiece(["red", "blue", "green", "black", "white", "brown", "thing"])
    one = List(query, (document,), np.ones(1, np.float32))
    tuning = Tuning(max_tokens=12, query_tokens=4)
    ((((ids, segment),), _),) = encode([one], Tokenizer.from_str(source), tuning)
    served = pairing(source, 12, 4).pairs(query, [document])[0][0]
    assert ids == served.ids.tolist()
    assert segment == served.second
