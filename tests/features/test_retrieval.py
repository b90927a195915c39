"""The `retrieval` kind: the first stage's score and rank as sent."""

import numpy as np

from features.batch import CandidateBatch, Query
from features.columns import number
from features.kinds.retrieval import Retrieval


def test_score_as_sent_and_rank_within_the_query() -> None:
    """Ranks start at 1 anew for every query, past one without candidates; a score not sent is NaN."""
    scores = number([3.0, 2.0, float("nan"), 9.0])
    queries = (Query("a"), Query("none"), Query("b"))
    batch = CandidateBatch(queries, list("wxyz"), np.array([0, 3, 3, 4]), {"retrieval_score": scores})
    feature = Retrieval(name="first")
    made = feature.compute(batch, {})
    assert feature.outputs == ("first.score", "first.rank")
    np.testing.assert_array_equal(made[:, 0], scores.values)
    assert made[:, 1].tolist() == [1, 2, 3, 1]


def test_the_scores_column_can_be_another() -> None:
    """`score` names it; without the column the rank is still there."""
    batch = CandidateBatch((Query("a"),), ["x"], np.array([0, 1]), {"es_score": number([7.0])})
    assert Retrieval(name="f", score="es_score").compute(batch, {}).tolist() == [[7.0, 1.0]]
    assert np.isnan(Retrieval(name="f").compute(batch, {})[0, 0])
