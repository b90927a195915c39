"""Estimates by pair, and what becomes of them as training data."""

import numpy as np
import pytest

from cascade.stages.lambdamart import LambdaMartTraining
from features.batch import CandidateBatch, Query
from features.errors import InvalidInput
from features.matrix import FeatureMatrix
from training.clicks import relevance
from training.clicks.cells import Cells
from training.clicks.impressions import Impressions
from training.clicks.latent import LatentRelevance
from training.clicks.unbiased import blended, decided, graded, page_by_page, weights_of, with_gains
from training.dataset import StageData
from training.lambdamart import label_gains, parameters, train

THETA = np.array([1.0, 0.5, 0.1])


def cells(pair: list[int], rank: list[int], shown: list[float], clicks: list[float]) -> Cells:
    """Counted clicks of three ranks."""
    numbers = np.array(pair), np.array(rank), np.array(shown, float), np.array(clicks, float)
    return Cells(*numbers, pairs=max(pair) + 1, contexts=3)


def test_inverse_propensity_finds_the_attractiveness_behind_expected_clicks() -> None:
    """Clicks of n·θ·α give α at every rank, and pooled over ranks."""
    counted = cells([0, 1, 2, 2], [0, 1, 0, 2], [1e6] * 4, [4e5, 2e5, 3e5, 3e4])
    found = relevance.inverse_propensity(counted, THETA)
    np.testing.assert_allclose(found.value, [0.4, 0.4, 0.3], atol=1e-4)
    assert relevance.raw(counted).value[1] == pytest.approx(0.2)


def test_propensities_are_clipped_and_few_impressions_are_drawn_to_the_mean() -> None:
    """A rank that nobody sees does not rule; one impression says little; none says the mean."""
    counted = cells([0, 1, 2], [2, 0, 0], [10, 1, 1000], [3, 1, 400])
    free, clipped = (
        relevance.inverse_propensity(counted, THETA, clip=clip, strength=0) for clip in (0.01, 0.5)
    )
    assert free.value[0] == 1.0
    assert clipped.value[0] == pytest.approx(0.6)
    drawn = relevance.inverse_propensity(counted, THETA, strength=5)
    assert 0.4 < drawn.value[1] < 0.55
    alone = Cells(counted.pair, counted.context, counted.shown, counted.clicks, pairs=4, contexts=3)
    total = counted.clicks.sum() / (counted.shown * THETA[counted.context]).sum()
    assert relevance.inverse_propensity(alone, THETA).value[3] == pytest.approx(total)


def test_affine_correction_takes_off_what_trust_adds() -> None:
    """With rates ρ_k0 and ρ_k1 of other and relevant documents, those come out as 0 and 1 at every rank."""
    rates = np.array([[0.5, 0.8], [0.2, 0.4], [0.05, 0.1]])
    pair, rank = [0, 1, 2, 3, 4, 5], [0, 1, 2, 0, 1, 2]
    clicks = [1e6 * rates[k, int(p >= 3)] for p, k in zip(pair, rank, strict=True)]
    found = relevance.affine(cells(pair, rank, [1e6] * 6, clicks), rates)
    np.testing.assert_allclose(found.value, [0, 0, 0, 1, 1, 1], atol=1e-4)
    assert found.effective < 6


def test_posterior_is_bayes_rule_over_all_ranks_of_a_pair() -> None:
    """P(z | clicks) with a given prior equals the rule written out."""
    rates = np.array([[0.2, 0.6], [0.1, 0.3], [0.05, 0.1]])
    model = LatentRelevance(rates, np.array([0.5, 0.3, 0.1]), ())
    counted = cells([0, 0, 1], [0, 2, 1], [5, 10, 4], [2, 1, 0])
    prior = np.array([0.25, 0.5])
    relevant = 0.25 * 0.6**2 * 0.4**3 * 0.1 * 0.9**9
    other = 0.75 * 0.2**2 * 0.8**3 * 0.05 * 0.95**9
    found = relevance.latent(counted, model, prior).value
    assert found[0] == pytest.approx(relevant / (relevant + other))
    assert found[1] == pytest.approx(0.7**4 / (0.7**4 + 0.9**4))


def data(queries: int = 40, each: int = 4) -> StageData:
    """Candidates whose one feature is their relevance."""
    random = np.random.default_rng(4)
    labels = (random.random(queries * each) < 0.4).astype(np.float32)
    labels[::each] = 1.0
    offsets = np.arange(0, queries * each + 1, each)
    batch = CandidateBatch(
        tuple(Query("", id=str(number)) for number in range(queries)),
        [str(row) for row in range(len(labels))],
        offsets,
    )
    matrix = FeatureMatrix(
        labels[:, None] + random.normal(0, 0.1, (len(labels), 1)).astype(np.float32), ("x",), offsets, ""
    )
    return StageData(batch, matrix, labels, np.arange(queries))


def test_estimates_become_grades_and_unseen_rows_are_left_out() -> None:
    """Grades are 31 times the estimate; a row that nobody saw is no negative; gains rise to 1."""
    whole = data()
    learn = graded(whole, np.array([0, 2, 5, -1]), np.array([1.0, 0.5, 0.0, 0.9]))
    assert learn.labels.tolist() == [31.0, 16.0, 0.0]
    assert np.diff(learn.batch.offsets)[:3].tolist() == [2, 1, 0]
    training = with_gains(LambdaMartTraining(trees=5))
    assert label_gains(learn, training)[31] == 1.0
    with pytest.raises(InvalidInput, match="about a candidate"):
        graded(whole, np.array([-1]), np.array([1.0]))


def test_decided_labels_leave_doubts_out() -> None:
    """Sure rows are plain labels; doubtful and unseen ones are gone; nothing sure is refused."""
    rows, probability = np.array([0, 1, 2, 4, -1]), np.array([0.95, 0.5, 0.02, 0.9, 1.0])
    learn = decided(data(), rows, probability)
    assert learn.labels.tolist() == [1.0, 0.0, 1.0]
    assert [int(learn.batch.ids[row]) for row in range(3)] == [0, 2, 4]
    with pytest.raises(InvalidInput, match="about a candidate"):
        decided(data(), rows, np.full(5, 0.5))


def test_single_pages_carry_weights_and_positions_into_lightgbm() -> None:
    """Every shown position is a row; a weight or a position bias changes what is learnt."""
    whole = data()
    random = np.random.default_rng(0)
    shown = whole.batch.offsets[:-1, None] + np.array([2, 0, 3])
    shown[::7, 2] = -1
    pages = Impressions.of(np.arange(40), shown, (random.random(shown.shape) < 0.4) & (shown >= 0))
    single = page_by_page(whole, pages.documents, pages, THETA)
    assert single.labels.sum() == pages.clicked.sum()
    assert single.positions is not None
    assert single.weights is not None
    assert np.diff(single.batch.offsets).tolist() == pages.shown.sum(axis=1).tolist()
    first = single.queries(np.array([1, 0]))
    assert first.positions is not None
    assert first.positions.tolist() == [0, 1, 2, 0, 1]
    training = LambdaMartTraining(trees=5, min_in_leaf=2, position_regularisation=0.1)
    plain = StageData(single.batch, single.matrix, single.labels, single.groups)
    placed = StageData(single.batch, single.matrix, single.labels, single.groups, positions=single.positions)
    models = {
        train(each, ("x",), parameters(training, [0.0, 1.0]), 5).model_to_string()
        for each in (plain, placed, single)
    }
    assert len(models) == 3


def test_weights_are_clipped_and_normalised() -> None:
    """A click counts 1/θ, never more than 1/clip; the mean weight is 1."""
    weights = weights_of(np.array([True, True, False]), np.array([1.0, 0.001, 0.5]), clip=0.1)
    assert weights.mean() == pytest.approx(1.0)
    np.testing.assert_allclose(weights / weights[0], [1.0, 10.0, 1.0], rtol=1e-6)


def test_signals_blend_by_weight_and_a_missing_one_leaves_its_weight() -> None:
    """Σ w·s over the weights of the signals that a pair has."""
    signals = {"click": np.array([0.2, 0.4]), "purchase": np.array([1.0, np.nan])}
    np.testing.assert_allclose(blended(signals, {"click": 1, "purchase": 3}), [0.8, 0.4])
    with pytest.raises(InvalidInput, match="no signal 'save'"):
        blended(signals, {"save": 1})
