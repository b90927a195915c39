"""Our LambdaMART is LightGBM's: the same scores, and its own ranking example at the known quality."""

from pathlib import Path

import lightgbm
import numpy as np

from cascade.deadline import NEVER
from cascade.stages.lambdamart import MODEL, LambdaMart, LambdaMartTraining
from features.batch import CandidateBatch
from features.columns import Input, Kind
from features.matrix import FeatureMatrix
from tests.support import require_data
from training.candidates import judged
from training.collection import Collection
from training.dataset import StageData, build_batch, labels_of
from training.lambdamart import fit
from training.letor import letor_collection
from training.metrics import Conventions, Judge
from training.split import groups_of
from training.standing import Standing
from training.trainers import Context


def data_of(collection: Collection, names: tuple[str, ...]) -> StageData:
    """A LETOR collection's rows with its features as they are."""
    inputs = tuple(Input(name, Kind.NUMBER) for name in names)
    batch: CandidateBatch = build_batch(collection, judged(collection), inputs)
    values = np.stack([batch.column(name, Kind.NUMBER).values for name in names], axis=1)
    matrix = FeatureMatrix(values, names, batch.offsets, "letor")
    groups, _ = groups_of(batch.queries, collection.grades)
    return StageData(batch, matrix, labels_of(batch, collection.grades), groups)


def test_lightgbm_example_reaches_its_quality(tmp_path: Path) -> None:
    """On LightGBM's ranking example nDCG@10 is about .73 (.62 at random), and scores are LightGBM's own."""
    folder = require_data("lightgbm_lambdarank")
    train, test = (letor_collection(folder / f"rank.{part}.gz") for part in ("train", "test"))
    names = tuple(train.documents.fields)
    spec = LambdaMart(name="trees", train=LambdaMartTraining(trees=100, learning_rate=0.1, early_stopping=0))
    fit(spec, data_of(train, names), tmp_path, Context())
    data = data_of(test, names)
    scores = spec.load(tmp_path, names).score(data.batch, data.matrix, NEVER).scores
    booster = lightgbm.Booster(model_file=str(tmp_path / MODEL))
    np.testing.assert_array_equal(scores, booster.predict(data.matrix.values).astype(np.float32))
    order = Standing.as_sent(data.batch.offsets).scored(scores, None).order
    ids = [data.batch.ids[row] for row in order.tolist()]
    spans = zip(data.batch.queries, data.batch.offsets[:-1], data.batch.offsets[1:], strict=True)
    lists = {query.id: ids[start:end] for query, start, end in spans}
    judge = Judge.of(test.grades, (10,), Conventions("exponential", "one"))
    assert 0.70 < judge.measure(lists).means()["nDCG@10"] < 0.78
