"""Which of the three a tenant gets, by its own held-out queries."""

import numpy as np
import pytest

from cascade.config import parse_config
from cascade.pipeline import Step
from features.errors import NotReady
from training.borrowing.choose import NOTHING_JUDGED, ONE_GROUP, Choice, Settings, choose
from training.borrowing.own import Own
from training.borrowing.residual import Boosting
from training.borrowing.testing import base_step, contest, tasted
from training.dataset import StageData
from training.trainers import Context

SETTINGS = Settings(boosting=Boosting(trees=40))
OWN = parse_config(
    """
[[stages]]
name = "trees"
kind = "lambdamart"
train = { trees = 30, leaves = 6, min_in_leaf = 5, early_stopping = 0 }
"""
)


@pytest.fixture(scope="module")
def step(tmp_path_factory: pytest.TempPathFactory) -> Step:
    """A base that likes the first column alone."""
    return base_step(tmp_path_factory.mktemp("base"), (1, 0, 0))


def chosen(step: Step, queries: int, taste: tuple[float, ...], seed: int = 4) -> Choice:
    """What a tenant of that taste gets."""
    data, grades = tasted(queries, taste, seed)
    return choose(contest(step, data, grades, Own(OWN, data)), SETTINGS, Context())


def test_without_queries_it_is_the_base(step: Step) -> None:
    """Nothing to go by: the base as it is, without a figure."""
    found = chosen(step, 0, (1, 1, 0))
    assert (found.kind, found.weight, dict(found.figures)) == ("base", 0, {})
    assert found.reasons == (NOTHING_JUDGED,)


def test_without_a_relevant_document_it_is_the_base(step: Step) -> None:
    """Judgments that say no of everything teach no order."""
    data, grades = tasted(20, (1, 1, 0), 3)
    nothing = {query: dict.fromkeys(judged, 0.0) for query, judged in grades.items()}
    silent = StageData(data.batch, data.matrix, np.zeros_like(data.labels), data.groups)
    assert choose(contest(step, silent, nothing), SETTINGS, Context()).reasons == (NOTHING_JUDGED,)


def test_queries_that_cannot_be_parted_leave_the_base(step: Step) -> None:
    """Near-duplicates of one query judge nothing, though the base's figure is told."""
    data, grades = tasted(20, (1, 1, 0), 3)
    tied = StageData(data.batch, data.matrix, data.labels, np.zeros(20, np.int64))
    found = choose(contest(step, tied, grades), SETTINGS, Context())
    assert (found.kind, found.reasons) == ("base", (ONE_GROUP,))
    assert set(found.figures) == {"base"}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_few_queries_of_the_bases_taste_keep_the_base(step: Step, seed: int) -> None:
    """Where the base is right, a handful of queries talks no tenant into an own ranker, and into no more than
    a residual that is hardly heard."""
    found = chosen(step, 12, (1, 0, 0), seed)
    assert found.kind in ("base", "residual")
    assert found.weight < 0.8


def test_another_taste_gets_a_residual_or_its_own(step: Step) -> None:
    """With a hundred queries of another taste the base is left behind, surely."""
    found = chosen(step, 100, (1, 1, 0))
    assert found.kind != "base"
    assert found.gains[found.kind].low > 0
    assert set(found.figures) == {"base", "residual", "own"}
    assert len(found.reasons) == 2


def test_a_base_that_is_wrong_is_left_for_the_own_ranker(step: Step) -> None:
    """Of the opposite taste, with many queries and a residual of few trees, the own ranker is far ahead."""
    data, grades = tasted(150, (-1, 0.5, 0.2), 4)
    few = Settings(boosting=Boosting(trees=3))
    found = choose(contest(step, data, grades, Own(OWN, data)), few, Context())
    assert (found.kind, found.weight, found.trees) == ("own", 0, 0)
    assert found.figures["own"].mean > found.figures["residual"].mean


def test_the_weight_grows_with_the_tenants_evidence(step: Step) -> None:
    """More queries of another taste, more of the residual."""
    weights = [chosen(step, n, (1, 0.6, 0)).weight for n in (10, 40, 300)]
    assert weights == sorted(weights)
    assert weights[-1] > 0.9


def test_the_same_seed_chooses_the_same(step: Step) -> None:
    """To the bit: kind, weight, trees and figures."""
    first, second = (chosen(step, 40, (1, 0.6, 0)) for _ in range(2))
    assert (first.kind, first.weight, first.trees) == (second.kind, second.weight, second.trees)
    assert dict(first.figures) == dict(second.figures)


def test_a_base_without_trees_at_its_end_lends_itself_alone(step: Step) -> None:
    """Where no residual can be added the choice is between base and own, and the reason says so."""
    data, grades = tasted(60, (1, 1, 0), 5)
    found = contest(step, data, grades, Own(OWN, data))
    bare = type(found)(found.base, None, found.training, found.own, grades)
    made = choose(bare, SETTINGS, Context())
    assert made.kind in ("base", "own")
    assert "no lambdamart to add trees to" in made.reasons[0]
    assert "residual" not in made.figures


def test_an_own_ranker_that_cannot_be_fitted_leaves_the_others(
    step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that is missing, say, is told as the reason, and the choice is between the other two."""

    def unready(*_: object) -> None:
        raise NotReady("needs torch")

    monkeypatch.setattr("training.borrowing.own.out_of_fold", unready)
    found = chosen(step, 40, (1, 1, 0))
    assert found.kind == "residual"
    assert found.reasons[1] == "own ranker: needs torch"
    assert "own" not in found.figures
