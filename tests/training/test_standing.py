"""The order between stages of training is the pipeline's own."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade import pipeline
from cascade.pipeline import Step
from cascade.request import RankRequest
from cascade.stages.fixed import Fixed
from features.batch import CandidateBatch, Query
from features.columns import Floats
from features.featureset import FeatureSet
from training.standing import Standing

score = st.sampled_from([0.0, 1.0, 2.0, float("nan")])
lists = st.lists(st.lists(st.tuples(score, score), min_size=1, max_size=6), min_size=1, max_size=4)


@settings(deadline=None, max_examples=80)
@given(lists, st.integers(1, 6))
def test_equals_the_pipeline(scores: list[list[tuple[float, float]]], keep: int) -> None:
    """Two stages with ties, missing scores and a cut leave every query in the order that serving gives."""
    sizes = [len(each) for each in scores]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    flat = np.array([pair for each in scores for pair in each], np.float32)
    standing = Standing.as_sent(offsets).scored(flat[:, 0], keep)
    standing = standing.scored(flat[standing.alive, 1], None)
    ids = [str(row) for row in range(len(flat))]
    batch = CandidateBatch(tuple(Query("q") for _ in scores), ids, offsets)
    ordered = [served(batch.only(query), flat, keep) for query in range(len(scores))]
    assert standing.order.tolist() == [row for rows in ordered for row in rows]


def served(batch: CandidateBatch, scores: Floats, keep: int) -> list[int]:
    """One query through the real pipeline."""
    specs = [
        Fixed(name="one", keep=keep, table=dict(zip(batch.ids, column(batch, scores, 0), strict=True))),
        Fixed(name="two", table=dict(zip(batch.ids, column(batch, scores, 1), strict=True))),
    ]
    steps = [Step(spec, spec.load(None, ())) for spec in specs]  # type: ignore[arg-type]
    ranking = pipeline.run(steps, FeatureSet.declare(()).compute, RankRequest(batch))
    return [int(batch.ids[row]) for row in ranking.rows.tolist()]


def column(batch: CandidateBatch, scores: Floats, place: int) -> list[float]:
    """One stage's scores of a query."""
    return [float(scores[int(name), place]) for name in batch.ids]
