"""Models find the parameters of the users that made a log."""

from collections.abc import Callable

import numpy as np
import pytest

from features.errors import InvalidInput
from training.clicks.browsing import UserBrowsing
from training.clicks.cells import gather
from training.clicks.choose import ranked_models
from training.clicks.counted import Cascade, SimplifiedDbn
from training.clicks.dbn import DynamicBayesian
from training.clicks.em import Patience
from training.clicks.impressions import Impressions, joined, parts
from training.clicks.intervals import ByGroup, bootstrap
from training.clicks.interventions import Harvest
from training.clicks.latent import fit_latent
from training.clicks.pairs import Pairs
from training.clicks.position_based import PositionBased, ranks
from training.clicks.regression import RegressionEm
from training.simulate.log import SimulatedLog
from training.simulate.users import BrowsingUsers, PositionBasedUsers, ReadingUsers, TrustingUsers

Simulate = Callable[..., SimulatedLog]
THETA = np.array([1.0, 0.7, 0.5, 0.4, 0.3])


def true_values(log: SimulatedLog, pairs: Pairs, which: int) -> np.ndarray:
    """float64[pairs]: attractiveness (0) or satisfaction (1) of a log's users."""
    values = np.zeros(len(pairs))
    keys = (log.ranked.query[:, None] << 32) + log.ranked.documents
    values[pairs.find(keys)] = log.truth[which]
    return values


def test_position_based_finds_propensities_and_attractiveness(simulate: Simulate) -> None:
    """θ within 5 % and α within .05 at 60,000 pages."""
    log = simulate(PositionBasedUsers(THETA))
    pairs = Pairs.of(log)
    model = PositionBased().fit(log, pairs)
    np.testing.assert_allclose(model.propensity, THETA, rtol=0.05)
    assert np.abs(model.attractiveness - true_values(log, pairs, 0)).mean() < 0.02


def test_user_browsing_finds_examination_by_rank_and_last_click(simulate: Simulate) -> None:
    """γ within .06 for every rank and last click."""
    ranked = np.arange(5)
    gamma = np.where(
        ranked[None, :] == 0, 0.85 ** ranked[:, None], 0.9 ** (ranked[:, None] - ranked[None, :] + 1)
    )
    log = simulate(BrowsingUsers(gamma))
    model = UserBrowsing().fit(log, Pairs.of(log))
    reachable = ranked[None, :] <= ranked[:, None]
    assert np.abs(model.gamma / model.gamma[0, 0] - gamma)[reachable].max() < 0.06


def test_cascade_finds_attractiveness(simulate: Simulate) -> None:
    """α within .03 where users leave with the first click, and no clicks below it."""
    log = simulate(ReadingUsers(1.0))
    always = SimulatedLog(
        log.ranked, type(log.behaviour)(ReadingUsers(1.0), (0.2, 0.7), (1.0, 1.0)), 60_000, 3
    )
    pairs = Pairs.of(always)
    model = Cascade().fit(always, pairs)
    assert np.abs(model.attractiveness - true_values(always, pairs, 0)).mean() < 0.02
    assert model.after == 0


def test_dynamic_bayesian_finds_persistence_attractiveness_and_satisfaction(simulate: Simulate) -> None:
    """γ within .02, α and σ within .05 on average."""
    log = simulate(ReadingUsers(0.8))
    pairs = Pairs.of(log)
    model = DynamicBayesian().fit(log, pairs)
    assert model.gamma == pytest.approx(0.8, abs=0.02)
    assert np.abs(model.attractiveness - true_values(log, pairs, 0)).mean() < 0.03
    assert np.abs(model.satisfaction - true_values(log, pairs, 1)).mean() < 0.08
    assert np.corrcoef(model.relevance, true_values(log, pairs, 0))[0, 1] > 0.95


def test_simplified_dbn_orders_documents_by_satisfaction(simulate: Simulate) -> None:
    """With persistent readers, counting is enough to tell what satisfies."""
    log = simulate(ReadingUsers(1.0))
    pairs = Pairs.of(log)
    model = SimplifiedDbn().fit(log, pairs)
    assert np.corrcoef(model.relevance, true_values(log, pairs, 1))[0, 1] > 0.95


def test_the_users_own_model_foretells_them_best(simulate: Simulate) -> None:
    """Readers are told from browsers, and browsers from readers, by pages that no model was fitted on."""
    gamma = np.where(np.arange(5)[None, :] == 0, 0.6 ** np.arange(5)[:, None], 0.9)
    for users, name in ((ReadingUsers(0.9), "dynamic_bayesian"), (BrowsingUsers(gamma), "user_browsing")):
        assert next(iter(ranked_models(simulate(users, 20_000)))) == name


def test_swaps_tell_propensities(simulate: Simulate) -> None:
    """AllPairs finds θ within 5 % where documents were seen at several positions."""
    log = simulate(PositionBasedUsers(THETA))
    found = Harvest.of(gather(log, Pairs.of(log), 5, ranks)).propensity()
    np.testing.assert_allclose(found, THETA, rtol=0.05)


def test_swaps_refuse_a_log_in_which_nothing_moved() -> None:
    """One order of every query tells nothing of positions; a position apart from the others stays unknown."""
    pages = Impressions.of([0, 0], [[1, 2, 3], [1, 2, 3]], [[True, False, False], [False, True, False]])
    with pytest.raises(InvalidInput, match="no document was seen at two positions"):
        Harvest.of(gather(parts(pages), Pairs.of(parts(pages)), 3, ranks)).propensity()
    swapped = joined(
        [pages, Impressions.of([0] * 4, [[2, 1, 3]] * 4, [[True, False, True], [False] * 3] * 2)]
    )
    source = parts(swapped)
    found = Harvest.of(gather(source, Pairs.of(source), 3, ranks)).propensity()
    assert np.isfinite(found[:2]).all()
    assert np.isnan(found[2])


def fixed_order(simulate: Simulate, users: object) -> SimulatedLog:
    """A log in which every query has one page that never changes."""
    log = simulate(users, pages=80_000, queries=400, documents=5)
    ranked = log.ranked
    once = np.arange(0, len(ranked.query), 20)
    chosen = type(ranked)(
        *(getattr(ranked, name)[once] for name in ("query", "documents", "grade", "share", "arm"))
    )
    return SimulatedLog(chosen, log.behaviour, 80_000, 3)


def test_repeated_clicks_tell_propensities_where_pages_never_change(simulate: Simulate) -> None:
    """The mixture finds both rates of every rank, trust bias included, without a single swap."""
    trust = np.array([0.4, 0.2, 0.1, 0.0, 0.0])
    log = fixed_order(simulate, TrustingUsers(THETA, trust))
    model = fit_latent(gather(log, Pairs.of(log), 5, ranks))
    for grade, alpha in ((0, 0.2), (1, 0.7)):
        np.testing.assert_allclose(model.rates[:, grade], THETA * (trust + (1 - trust) * alpha), atol=0.02)
    assert (np.diff(model.objectives) > -1e-3).all()


def test_regression_em_tells_propensities_by_features(simulate: Simulate) -> None:
    """Where a feature tells relevance and pages never change, θ comes out within 10 %."""
    log = fixed_order(simulate, PositionBasedUsers(THETA))
    pairs = Pairs.of(log)
    relevant = true_values(log, pairs, 0) > 0.5
    noise = np.random.default_rng(2).normal(0, 0.3, (len(pairs), 2))
    features = (noise + relevant[:, None]).astype(np.float32)
    found = RegressionEm(trees=60, min_in_leaf=20).fit(gather(log, pairs, 5, ranks), features)
    np.testing.assert_allclose(found.theta, THETA, rtol=0.1)
    assert found.predict(features) == pytest.approx(found.relevance)
    assert found.relevance[relevant].mean() > 2 * found.relevance[~relevant].mean()


def test_intervals_hold_the_truth_and_shrink_with_pages(simulate: Simulate) -> None:
    """Bootstrap intervals of θ_3 hold it, and ten times the pages give a narrower one."""

    def propensity(pages: Impressions) -> np.ndarray:
        source = parts(pages)
        return PositionBased(patience=Patience(1e-3, 100)).fit(source, Pairs.of(source)).propensity

    wide, narrow = (
        bootstrap(
            propensity, joined(simulate(PositionBasedUsers(THETA), count, 10)()), unit="page", resamples=25
        )
        for count in (2_000, 20_000)
    )
    assert wide.low[2] < THETA[2] < wide.high[2]
    assert narrow.deviation[2] < wide.deviation[2]


def test_small_groups_are_drawn_to_the_whole_and_large_ones_keep_their_own(simulate: Simulate) -> None:
    """Phones look less far down: with many pages that shows, with few it is drawn to what all do."""
    steep = np.array([1.0, 0.4, 0.2, 0.1, 0.05])
    desk = joined(simulate(PositionBasedUsers(THETA), pages=30_000)())
    phone = joined(simulate(PositionBasedUsers(steep), pages=20_000, seed=3)())
    few = phone.take(slice(0, 60))
    groups = [
        Impressions.of(one.query, one.documents, one.clicked, group=at)
        for at, one in enumerate((desk, phone, few))
    ]
    settings = ByGroup(groups=4, positions=5)
    own = np.exp(settings(joined(groups))).reshape(4, 5)
    whole = np.exp(
        ByGroup(1, 5)(
            Impressions.of(*(getattr(joined(groups), n) for n in ("query", "documents", "clicked")))
        )
    )
    found = whole * settings.shrunk(joined(groups), resamples=10)
    np.testing.assert_allclose(found[0], THETA, rtol=0.1)
    np.testing.assert_allclose(found[1], steep, atol=0.05)
    assert (np.abs(found[2] - whole) <= np.abs(own[2] - whole) + 1e-9).all()
    np.testing.assert_allclose(found[3], whole)
