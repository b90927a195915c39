"""The contract of click models: every model against the same laws."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.clicks.browsing import UserBrowsing
from training.clicks.counted import Cascade, SimplifiedDbn
from training.clicks.ctr import RankCtr
from training.clicks.dbn import DynamicBayesian
from training.clicks.impressions import Impressions, joined, parts
from training.clicks.model import ClickModel, every, judge
from training.clicks.pairs import Pairs
from training.clicks.position_based import PositionBased

MODELS: list[ClickModel] = [
    RankCtr(),
    PositionBased(),
    UserBrowsing(),
    Cascade(),
    SimplifiedDbn(),
    DynamicBayesian(),
]
CLIMBERS: list[Any] = [PositionBased(), UserBrowsing(), DynamicBayesian()]

models = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


def fitted(model: ClickModel, pages: Impressions, size: int = 1_000) -> Any:
    """The model fitted on pages in parts."""
    source = parts(pages, size)
    return model.fit(source, Pairs.of(source))


@models
def test_probabilities_are_probabilities_and_nothing_where_nothing_is_shown(
    model: ClickModel, tiny: Impressions
) -> None:
    """All that a model tells is between 0 and 1, and 0 where a page has no document."""
    found = fitted(model, tiny)
    for tell in (found.conditional, found.clicks, found.examination, found.examined):
        told = tell(tiny)
        assert told.shape == tiny.documents.shape
        assert ((told >= 0) & (told <= 1)).all()
        assert (told[~tiny.shown] == 0).all()
    assert (found.examined(tiny)[tiny.clicked] == 1).all()
    assert found.attractiveness.shape == (len(found.pairs),)


@models
def test_marginals_are_the_conditionals_summed_over_all_clicks(model: ClickModel, tiny: Impressions) -> None:
    """P(C_k) is Σ P(clicks above) · P(C_k | clicks above), over every pattern of clicks of a page."""
    found = fitted(model, tiny)
    if model.name == "cascade":
        return  # its word on clicks below the first is a share, not a probability that hangs together
    for page in (0, 1, 2, 5, 7):
        one = tiny.take([page])
        patterns = np.array(list(product([False, True], repeat=tiny.positions))) & one.shown
        patterns = np.unique(patterns, axis=0)
        many = Impressions.of(
            np.repeat(one.query, len(patterns)), np.repeat(one.documents, len(patterns), 0), patterns
        )
        chance = found.conditional(many)
        happened = np.where(many.shown, np.where(patterns, chance, 1 - chance), 1.0).prod(axis=1)
        assert happened.sum() == pytest.approx(1.0)
        np.testing.assert_allclose(happened @ patterns, found.clicks(one)[0], atol=1e-9)


@models
def test_fit_in_parts_is_the_fit_of_the_whole(model: ClickModel, tiny: Impressions) -> None:
    """Parameters do not depend on where a log is cut."""
    whole, cut = fitted(model, tiny), fitted(model, tiny, size=7)
    np.testing.assert_allclose(cut.attractiveness, whole.attractiveness, atol=1e-6)
    np.testing.assert_allclose(cut.clicks(tiny), whole.clicks(tiny), atol=1e-6)


@models
def test_order_of_pages_and_numbering_of_documents_play_no_part(model: ClickModel, tiny: Impressions) -> None:
    """A shuffled log with other document numbers gives the same predictions."""
    random = np.random.default_rng(1)
    order, names = random.permutation(len(tiny)), random.permutation(6) + 10
    renamed = np.where(tiny.shown, names[tiny.documents], -1)
    other = Impressions.of(tiny.query, renamed, tiny.clicked)
    told = fitted(model, tiny).conditional(tiny)
    np.testing.assert_allclose(fitted(model, other.take(order)).conditional(other), told, atol=1e-5)


@models
def test_weights_stand_for_repeated_pages(model: ClickModel, tiny: Impressions) -> None:
    """A page of weight 3 is three pages."""
    heavy = tiny.weighted(np.where(np.arange(len(tiny)) < 10, 3.0, 1.0))
    long = joined([tiny, tiny.take(slice(0, 10)), tiny.take(slice(0, 10))])
    told = fitted(model, heavy).clicks(tiny)
    np.testing.assert_allclose(told, fitted(model, long).clicks(tiny), atol=1e-6)


@models
def test_unknown_pairs_are_as_attractive_as_the_mean(model: ClickModel, tiny: Impressions) -> None:
    """A query that was never seen gets finite, sensible probabilities."""
    found = fitted(model, tiny)
    strange = Impressions.of([77], [[1, 2, 3, 4]], [[False, True, False, False]])
    assert (found.conditional(strange) > 0).all()
    assert np.isfinite(judge(found, parts(strange)).log_likelihood)


@pytest.mark.parametrize("model", CLIMBERS, ids=lambda model: model.name)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_objective_never_falls(model: Any, seed: int) -> None:
    """EM, with its leaps, climbs on any log."""
    random = np.random.default_rng(seed)
    documents = np.stack([random.permutation(5)[:4] for _ in range(30)])
    pages = Impressions.of(random.integers(0, 3, 30), documents, random.random((30, 4)) < random.random())
    found = fitted(model, pages)
    rounds = found.objectives if model.name == "dynamic_bayesian" else found.climbed.objectives
    assert (np.diff(rounds) >= -1e-7 * abs(rounds[0])).all()


def test_judge_tells_perplexity_by_its_formula(tiny: Impressions) -> None:
    """Perplexity is 2 to the mean cross-entropy in bits, position by position."""
    found = fitted(RankCtr(), tiny)
    verdict = every([found], parts(tiny, 9))["rank_ctr"]
    rate, shown = found.clicks(tiny), tiny.shown
    bits = -np.where(tiny.clicked, np.log2(np.maximum(rate, 1e-6)), np.log2(1 - rate))
    expected = [2 ** bits[shown[:, k], k].mean() for k in range(4)]
    np.testing.assert_allclose(verdict.by_rank, expected)
    assert verdict.perplexity == pytest.approx(2 ** bits[shown].mean())
    assert verdict.perplexity == pytest.approx(verdict.given_above)
