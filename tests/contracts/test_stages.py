"""The laws that every stage kind keeps. An author adds an example of the kind to `EXAMPLES`."""

import atexit
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest

from cascade.config import STAGES
from cascade.deadline import NEVER
from cascade.stage import Explains, Stage, StageSpec
from cascade.stages.bi_encoder import BiEncoder
from cascade.stages.cross_encoder import CrossEncoder
from cascade.stages.fixed import Fixed
from cascade.stages.lambdamart import LambdaMart
from cascade.stages.linear import Linear, LinearModel
from features.batch import CandidateBatch, Query
from features.columns import Column, Rows, keyword, number, text, vector
from features.errors import NotReady
from features.matrix import FeatureMatrix
from features.registry import kinds
from tests.support import require

NAMES = ("bm25", "price", "recency_days")
SIZES = (7, 1, 5, 0, 11)
WORDS = ["red", "shoe", "blue", "sky", "green", "running", "tea", "mountain", "quiet", "river"]


@dataclass(frozen=True)
class Example:
    """A stage kind's example: its specification, and what writes the files it loads."""

    spec: StageSpec
    write: Callable[[Path], object] = lambda directory: None

    def load(self, directory: Path) -> Stage:
        """The stage, from the files of its training."""
        self.write(directory)
        return self.spec.load(directory, NAMES)


def write_booster(directory: Path) -> None:
    """A LambdaMART model of a few trees."""
    import lightgbm

    random = np.random.default_rng(3)
    values = random.normal(size=(400, len(NAMES))).astype(np.float32)
    values[random.random(values.shape) < 0.1] = np.nan
    labels = (np.nan_to_num(values[:, 0]) - np.nan_to_num(values[:, 1]) > 0.5).astype(int)
    data = lightgbm.Dataset(values, labels, group=[20] * 20, feature_name=list(NAMES))
    params = {"objective": "lambdarank", "verbose": -1, "num_threads": 1, "seed": 3}
    lightgbm.train(params, data, 20).save_model(directory / "model.txt")


def write_borrowed(directory: Path) -> None:
    """The same with a residual on top: its last ten trees once more."""
    import lightgbm

    from cascade.stages.lambdamart import write_residual

    write_booster(directory)
    last = lightgbm.Booster(model_file=str(directory / "model.txt")).model_to_string(start_iteration=10)
    write_residual(directory, lightgbm.Booster(model_str=last), 10, 0.4)


def write_weights(directory: Path) -> None:
    """Fitted weights."""
    import msgspec

    model = LinearModel({"bm25": 0.7, "price": -1.3}, 0.1)
    (directory / "weights.json").write_bytes(msgspec.json.encode(model))


@cache
def exported() -> Path:
    """The folder of a small random cross-encoder, exported once for all laws."""
    from training.export import Gate, export
    from training.export.testing import made_pairs, random_checkpoint, wordpiece

    folder = Path(mkdtemp(prefix="sluice-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    pairs = made_pairs(WORDS, 10, 12, np.random.default_rng(6))
    gate = Gate(tau=0.3, top_10=0.3)
    export(random_checkpoint(wordpiece(WORDS)), folder / "stage", pairs, variants=["int8"], gate=gate)
    return folder / "stage"


def write_cross_encoder(directory: Path) -> None:
    """An int8 cross-encoder with calibrated scales."""
    require("onnx")
    shutil.copytree(exported(), directory, dirs_exist_ok=True)


@cache
def exported_encoder() -> Path:
    """The folder of a small random sentence encoder, exported once for all laws."""
    from training.export import Gate, export
    from training.export.testing import made_pairs, random_checkpoint, wordpiece

    folder = Path(mkdtemp(prefix="sluice-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    pairs = made_pairs(WORDS, 10, 12, np.random.default_rng(6))
    checkpoint, gate = random_checkpoint(wordpiece(WORDS)), Gate(tau=0.3, top_10=0.3)
    export(checkpoint, folder / "stage", pairs, task="vector", variants=["int8"], gate=gate)
    return folder / "stage"


def write_bi_encoder(directory: Path) -> None:
    """An int8 sentence encoder with calibrated scales."""
    require("onnx")
    shutil.copytree(exported_encoder(), directory, dirs_exist_ok=True)


TABLE = {f"{query}-{row}": float(row % 3) for query in range(5) for row in range(9)}
WEIGHTS = {"bm25": 1.5, "recency_days": -0.25}

EXAMPLES = {
    "bi_encoder": Example(BiEncoder(name="be", weights="made here", max_tokens=64), write_bi_encoder),
    "bi_encoder, dot": Example(
        BiEncoder(name="be", weights="made here", similarity="dot", query_prefix="red: ", cache_mb=0),
        write_bi_encoder,
    ),
    "bi_encoder, vectors": Example(
        BiEncoder(name="be", weights="made here", vectors="embedding"), write_bi_encoder
    ),
    "cross_encoder": Example(CrossEncoder(name="ce", max_tokens=64, query_tokens=16), write_cross_encoder),
    "fixed": Example(Fixed(name="fixed", table=TABLE)),
    "lambdamart": Example(LambdaMart(name="lambdamart"), write_booster),
    "lambdamart, residual": Example(LambdaMart(name="lambdamart"), write_borrowed),
    "linear": Example(Linear(name="linear"), write_weights),
    "linear, declared": Example(Linear(name="linear", weights=WEIGHTS, bias=0.5, missing=-1.0)),
    "linear, zscore": Example(Linear(name="linear", weights=WEIGHTS, normalise="zscore")),
    "linear, minmax": Example(Linear(name="linear", weights=WEIGHTS, normalise="minmax")),
}
"""By kind, or by kind and case."""

every_example = pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())


def make_batch(seed: int = 0) -> CandidateBatch:
    """Candidates of five queries, one of them without any."""
    random = np.random.default_rng(seed)
    n = sum(SIZES)
    ids = [f"{query}-{row}" for query, size in enumerate(SIZES) for row in range(size)]
    columns = {
        "title": text([" ".join(random.choice(WORDS, 3)) for _ in range(n)]),
        "body": text([" ".join(random.choice(WORDS, k)) or None for k in random.integers(0, 30, n)]),
        "tags": keyword([tuple(random.choice(WORDS, 1)) for _ in range(n)]),
        "price": number(random.normal(size=n)),
        "embedding": vector(np.where(random.random((n, 1)) < 0.2, np.nan, random.normal(size=(n, 64)))),
    }
    queries = tuple(Query(" ".join(random.choice(WORDS, 2)), id=str(i)) for i in range(len(SIZES)))
    return CandidateBatch(queries, ids, np.concatenate([[0], np.cumsum(SIZES)]), columns)


def make_matrix(batch: CandidateBatch, seed: int = 1) -> FeatureMatrix:
    """Features with missing values, and one column missing altogether for a query."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(len(batch), len(NAMES))).astype(np.float32)
    values[random.random(values.shape) < 0.2] = np.nan
    values[: SIZES[0], 0] = np.nan
    return FeatureMatrix(values, NAMES, batch.offsets, "made up")


def score(stage: Stage, batch: CandidateBatch, matrix: FeatureMatrix) -> Any:
    """float32[n]."""
    return stage.score(batch, matrix, NEVER).scores


def parts(batch: CandidateBatch, matrix: FeatureMatrix, rows: Rows) -> tuple[CandidateBatch, FeatureMatrix]:
    """The given rows of both."""
    taken = batch.take(rows)
    return taken, matrix.take(rows, taken.offsets)


def test_every_registered_kind_has_an_example() -> None:
    """A stage kind cannot be added without being held to these laws."""
    assert {name.partition(",")[0] for name in EXAMPLES} == set(kinds(STAGES))


@every_example
def test_scores_have_a_row_a_candidate_and_are_never_infinite(example: Example, tmp_path: Path) -> None:
    """float32[n], NaN only with an outcome that says why."""
    batch = make_batch()
    result = example.load(tmp_path).score(batch, make_matrix(batch), NEVER)
    assert result.scores.shape == (len(batch),)
    assert result.scores.dtype == np.float32
    assert not np.isinf(result.scores).any()
    assert set(np.flatnonzero(np.isnan(result.scores)).tolist()) == set(result.outcomes)
    assert not result.late


@every_example
def test_inputs_are_left_as_they_were(example: Example, tmp_path: Path) -> None:
    """Neither the columns nor the matrix change under a stage."""
    batch = make_batch()
    matrix = make_matrix(batch)
    before = matrix.values.tobytes(), [copied(column) for column in batch.columns.values()]
    score(example.load(tmp_path), batch, matrix)
    assert before == (matrix.values.tobytes(), [copied(column) for column in batch.columns.values()])


def copied(column: Column) -> object:
    """The values of a column, comparable."""
    return column.values.tobytes() if isinstance(column.values, np.ndarray) else list(column.values)


@every_example
def test_the_same_input_gives_the_same_bytes(example: Example, tmp_path: Path) -> None:
    """Two runs, and a second loading of the same files, agree to the bit."""
    batch = make_batch()
    matrix = make_matrix(batch)
    stage = example.load(tmp_path)
    first = score(stage, batch, matrix).tobytes()
    assert first == score(stage, batch, matrix).tobytes()
    assert first == score(example.spec.load(tmp_path, NAMES), batch, matrix).tobytes()


@every_example
def test_a_score_is_the_rows_own(example: Example, tmp_path: Path) -> None:
    """Unless the kind is listwise, a row alone scores as among others, within the stated tolerance."""
    if example.spec.listwise:
        return
    batch = make_batch()
    matrix = make_matrix(batch)
    stage = example.load(tmp_path)
    together = score(stage, batch, matrix)
    alone = [score(stage, *parts(batch, matrix, np.array([row])))[0] for row in range(len(batch))]
    tolerance = example.spec.tolerance
    np.testing.assert_allclose(alone, together, rtol=tolerance, atol=tolerance)


@every_example
def test_a_score_does_not_depend_on_other_queries(example: Example, tmp_path: Path) -> None:
    """Each query alone scores as in the batch of all of them; listwise kinds too."""
    batch = make_batch()
    matrix = make_matrix(batch)
    stage = example.load(tmp_path)
    together = score(stage, batch, matrix)
    tolerance = example.spec.tolerance
    for start, end in zip(batch.offsets[:-1], batch.offsets[1:], strict=True):
        alone = score(stage, *parts(batch, matrix, np.arange(start, end)))
        np.testing.assert_allclose(alone, together[start:end], rtol=tolerance, atol=tolerance)


@every_example
def test_the_order_of_the_candidates_does_not_matter(example: Example, tmp_path: Path) -> None:
    """Turned around within its query, every row keeps its score."""
    batch = make_batch().only(4)
    matrix = make_matrix(batch)
    stage = example.load(tmp_path)
    rows = np.arange(len(batch))[::-1].copy()
    tolerance = max(example.spec.tolerance, 1e-6 if example.spec.listwise else 0.0)
    turned = score(stage, *parts(batch, matrix, rows))
    np.testing.assert_allclose(turned, score(stage, batch, matrix)[rows], rtol=tolerance, atol=tolerance)


@every_example
def test_an_empty_batch_gives_no_scores(example: Example, tmp_path: Path) -> None:
    """No candidates, no scores, no error."""
    batch = make_batch().only(3)
    assert score(example.load(tmp_path), batch, make_matrix(batch)).shape == (0,)


@every_example
def test_what_it_reads_is_known_before_it_is_loaded(example: Example, tmp_path: Path) -> None:
    """The specification names every column that the loaded stage reads."""
    stage = example.load(tmp_path)
    assert set(stage.reads) <= set(example.spec.columns(NAMES))
    assert set(stage.inputs) == set(example.spec.inputs)


@every_example
def test_contributions_add_up_to_the_score(example: Example, tmp_path: Path) -> None:
    """A stage that explains accounts for the whole raw score, one share a column and the bias."""
    stage = example.load(tmp_path)
    batch = make_batch()
    matrix = make_matrix(batch)
    if isinstance(stage, Explains):
        shares = stage.contributions(batch, matrix)
        assert shares.shape == (len(batch), len(stage.reads) + 1)
        assert shares.dtype == np.float32
        np.testing.assert_allclose(shares.sum(axis=1), score(stage, batch, matrix), rtol=1e-4, atol=1e-4)
        empty = batch.only(3)
        assert stage.contributions(empty, make_matrix(empty)).shape == (0, len(stage.reads) + 1)


@pytest.mark.parametrize("kind", ["lambdamart", "linear"])
def test_a_stage_without_its_files_says_what_to_run(kind: str, tmp_path: Path) -> None:
    """A model that was never trained is not ready, and the error names the way out."""
    with pytest.raises(NotReady, match="sluice train"):
        EXAMPLES[kind].spec.load(tmp_path / "absent", NAMES)
