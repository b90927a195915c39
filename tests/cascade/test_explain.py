"""Contributions add up to the score that placed an item."""

from pathlib import Path

import numpy as np
import pytest

from cascade.config import parse_config
from cascade.explain import explain
from cascade.pipeline import Step, run
from cascade.request import RankRequest
from features import columns
from features.batch import Query, single

CASCADE = """
[[features]]
kind = "numeric"
name = "price"
field = "price"

[[features]]
kind = "numeric"
name = "votes"
field = "votes"

[[stages]]
kind = "linear"
normalise = "{normalise}"
bias = 0.25
weights = {{ price = 1.0, votes = -0.5 }}
"""


@pytest.mark.parametrize("normalise", ["none", "zscore", "minmax"])
def test_contributions_of_the_top_add_up_to_its_scores(normalise: str, tmp_path: Path) -> None:
    """Also where the stage looks at the whole list and only the top of it is explained."""
    config = parse_config(CASCADE.format(normalise=normalise))
    features = config.feature_set()
    stage = config.stages[0].load(tmp_path, features.names)
    steps = (Step(config.stages[0], stage),)
    numbers = {"price": columns.number([3, 9, 1, 7, 5]), "votes": columns.number([1, 2, 8, 4, 0])}
    request = RankRequest(single(Query("any"), list("abcde"), numbers))
    top = run(steps, features.compute, request).top(2)
    for score, told in zip(top.scores, explain(steps, request, top), strict=True):
        assert told.stage == "linear"
        assert np.isclose(told.bias + sum(told.contributions), score, atol=1e-5)
