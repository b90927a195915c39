"""Logged pages through a candidate: the order is the one that serving would give."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade import pipeline
from cascade.build import load_steps
from cascade.config import parse_config
from cascade.ranker import Ranker
from cascade.request import RankRequest
from features.batch import CandidateBatch, Query
from features.columns import Input, Kind
from features.errors import NotReady
from features.matrix import FeatureMatrix
from training.offpolicy.replay import Replay, order_of

CONFIG = """
[[features]]
name = "x"
kind = "numeric"
field = "x"

[[features]]
name = "y"
kind = "numeric"
field = "y"

[[stages]]
kind = "linear"
name = "first"
keep = 3
weights = { x = 1.0 }

[[stages]]
kind = "linear"
name = "last"
weights = { y = 1.0, "stage.first" = 0.1 }
normalise = "minmax"
"""


def ranker() -> Ranker:
    """Two stages; the first lets three through, the last looks at its list."""
    config = parse_config(CONFIG)
    features = config.feature_set()
    steps = load_steps(config.stages, Path("nowhere"), features.names)
    return Ranker("default", "v", features, steps)


@settings(deadline=None, max_examples=40)
@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=4), seed=st.integers(0, 10_000))
def test_the_order_is_that_of_the_pipeline(sizes: list[int], seed: int) -> None:
    """All pages at once rank as each of them does alone: cuts, ties and missing values included."""
    candidate, offsets = ranker(), np.concatenate([[0], np.cumsum(sizes)])
    values = np.random.default_rng(seed).integers(0, 4, (offsets[-1], 2)).astype(np.float32)
    values[values == 3] = np.nan
    ids = [str(row) for row in range(len(values))]
    batch = CandidateBatch(tuple(Query("") for _ in sizes), ids, offsets)
    matrix = FeatureMatrix(values, ("x", "y"), offsets, candidate.features.fingerprint)
    rank = order_of(candidate, batch, matrix)
    for start, end in pairwise(offsets.tolist()):
        rows = np.arange(start, end)
        one = matrix.take(rows, np.array([0, len(rows)]))
        page = batch.only(int(np.searchsorted(offsets, start)))
        served = pipeline.run(candidate.steps, lambda _, one=one: one, RankRequest(page)).rows
        assert np.argsort(rank[rows]).tolist() == served.tolist()


def test_a_stage_that_reads_texts_is_refused_by_name() -> None:
    """A log holds no texts, and the error says what else can be done."""
    candidate = ranker()

    class Reads:
        reads = ()
        inputs = (Input("title", Kind.TEXT),)

    step = replace(candidate.steps[1], stage=Reads())  # type: ignore[arg-type]
    with pytest.raises(NotReady, match=r"stage 'last' reads title .* judge this ranker on labels"):
        Replay(replace(candidate, steps=(candidate.steps[0], step)))
