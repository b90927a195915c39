"""The vectorised models against plain loops over events, on tiny data."""

import math
from collections import defaultdict

import numpy as np
import pytest

from training.clicks.browsing import UserBrowsing
from training.clicks.cells import Cells, Dense, Sparse, fit_products, gather
from training.clicks.chain import backward
from training.clicks.counted import Cascade, SimplifiedDbn
from training.clicks.dbn import DynamicBayesian
from training.clicks.em import Climb, Patience, Step, climb
from training.clicks.impressions import Impressions, condensed, joined, parts
from training.clicks.pairs import Pairs
from training.clicks.position_based import ranks

Page = tuple[int, list[tuple[int, int, bool]]]


def events(pages: Impressions) -> list[Page]:
    """(query, [(position, document, clicked)]) of every page."""
    return [
        (
            int(query),
            [
                (at, int(one), bool(hit))
                for at, (one, hit) in enumerate(zip(row, hits, strict=True))
                if one >= 0
            ],
        )
        for query, row, hits in zip(pages.query, pages.documents, pages.clicked, strict=True)
    ]


def alpha_of(pairs: Pairs, values: np.ndarray) -> dict[tuple[int, int], float]:
    """(query, document) → value."""
    owners = zip(pairs.query.tolist(), pairs.document.tolist(), strict=True)
    return dict(zip(owners, values.tolist(), strict=True))


def test_one_round_of_position_based_em_is_the_textbook_loop(
    tiny: Impressions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """γ and α after one plain round equal those of a loop over events."""
    pairs = Pairs.of(parts(tiny))
    cells = gather(parts(tiny, 11), pairs, 4, ranks)
    mean, strength = 0.3, 2.0
    theta = [0.9, 0.7, 0.5, 0.3]
    plain = one_round(cells, (mean, strength), np.array(theta), monkeypatch)
    shown: dict[object, float] = defaultdict(float)
    gained: dict[object, float] = defaultdict(float)
    start = starting_alpha(tiny, mean, strength)
    for query, page in events(tiny):
        for at, document, hit in page:
            alpha, gamma = start[query, document], theta[at]
            dark = 1 - gamma * alpha
            shown[at] += 1
            shown[query, document] += 1
            gained[at] += 1 if hit else gamma * (1 - alpha) / dark
            gained[query, document] += 1 if hit else alpha * (1 - gamma) / dark
    np.testing.assert_allclose(plain[:4], [gained[at] / shown[at] for at in range(4)])
    expected = {key: (gained[key] + strength * mean) / (shown[key] + strength) for key in start}
    assert alpha_of(pairs, plain[4:]) == pytest.approx(expected)


def one_round(
    cells: Cells, prior: tuple[float, float], theta: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> np.ndarray:
    """The parameters after the first plain step, caught on their way through the climb."""
    caught: list[np.ndarray] = []

    def watching(step: Step, start: np.ndarray, patience: Patience, watched: int) -> Climb:
        caught.append(step(start)[0])
        return climb(step, start, patience, watched)

    monkeypatch.setattr("training.clicks.cells.climb", watching)
    fit_products(cells, prior, Patience(rounds=4), theta)
    return caught[0]


def starting_alpha(pages: Impressions, mean: float, strength: float) -> dict[tuple[int, int], float]:
    """Smoothed click rates by pair."""
    shown: dict[tuple[int, int], float] = defaultdict(float)
    clicks: dict[tuple[int, int], float] = defaultdict(float)
    for query, page in events(pages):
        for _, document, hit in page:
            shown[query, document] += 1
            clicks[query, document] += hit
    return {key: (clicks[key] + strength * mean) / (shown[key] + strength) for key in shown}


def test_browsing_conditionals_follow_the_last_click(tiny: Impressions) -> None:
    """P(C_k | above) is γ of the rank and the last click above it, times α, event by event."""
    source = parts(tiny)
    model = UserBrowsing().fit(source, Pairs.of(source))
    alpha, told = alpha_of(model.pairs, model.attractiveness), model.conditional(tiny)
    for row, (query, page) in enumerate(events(tiny)):
        last = 0
        for at, document, hit in page:
            assert told[row, at] == pytest.approx(model.gamma[at, last] * alpha[query, document])
            last = at + 1 if hit else last


def test_cascade_and_simplified_dbn_are_shares_of_counts(tiny: Impressions) -> None:
    """α and σ equal those of a loop that stops at the first click, and at the last one."""
    source = parts(tiny, 9)
    pairs = Pairs.of(source)
    cascade, simplified = Cascade().fit(source, pairs), SimplifiedDbn().fit(source, pairs)
    first = float(tiny.clicked[:, 0].mean())
    sums = {name: defaultdict(float) for name in ("seen", "hits", "seen_last", "hits_last", "ended")}
    for query, page in events(tiny):
        clicks = [at for at, _, hit in page if hit]
        for at, document, hit in page:
            key = query, document
            if not clicks or at <= clicks[0]:
                sums["seen"][key] += 1
                sums["hits"][key] += hit
            if not clicks or at <= clicks[-1]:
                sums["seen_last"][key] += 1
                sums["hits_last"][key] += hit
                sums["ended"][key] += bool(clicks) and at == clicks[-1]
    for key, value in alpha_of(pairs, cascade.attractiveness).items():
        assert value == pytest.approx((sums["hits"][key] + first) / (sums["seen"][key] + 1))
    for key, value in alpha_of(pairs, simplified.attractiveness).items():
        assert value == pytest.approx((sums["hits_last"][key] + first) / (sums["seen_last"][key] + 1))
    for key, value in alpha_of(pairs, simplified.satisfaction).items():
        assert value == pytest.approx((sums["ended"][key] + 0.5) / (sums["hits_last"][key] + 1))


def test_dbn_expectations_are_those_of_every_way_to_read_a_page(tiny: Impressions) -> None:
    """P(E_k | clicks), P(satisfied | clicks) and the likelihood by enumerating all hidden states."""
    source = parts(tiny)
    model = DynamicBayesian(persistence=0.7).fit(source, Pairs.of(source))
    at = model.pairs.at(tiny)
    gamma = 0.6
    found = backward(tiny, model.alpha[at], model.sigma[at], gamma)
    for row in range(12):
        there = np.flatnonzero(tiny.shown[row]).tolist()
        alpha, sigma = model.alpha[at][row, there].tolist(), model.sigma[at][row, there].tolist()
        total, seen, satisfied = enumerated(alpha, sigma, tiny.clicked[row, there].tolist(), gamma)
        assert found.log_likelihood[row] == pytest.approx(math.log(total))
        np.testing.assert_allclose(found.examined[row, there], np.array(seen) / total, atol=1e-9)
        assert found.satisfied[row] == pytest.approx(satisfied / total)


def enumerated(
    alpha: list[float], sigma: list[float], clicked: list[bool], gamma: float
) -> tuple[float, list[float], float]:
    """Σ P, Σ P·E_k and Σ P·satisfied, over how far was read and whether the last click satisfied."""
    count, seen = len(alpha), [0.0] * len(alpha)
    total = pleased = 0.0
    last = max((at for at, hit in enumerate(clicked) if hit), default=-1)
    for depth in range(max(last, 0), count):  # the lowest document that was examined
        for content in (False, True):
            chance = 1.0
            if content and (last < 0 or depth != last):
                continue
            for at in range(depth + 1):
                chance *= alpha[at] if clicked[at] else 1 - alpha[at]
                if clicked[at]:
                    chance *= sigma[at] if content and at == last else 1 - sigma[at]
                if at < depth:
                    chance *= gamma
            if not content and depth < count - 1:
                chance *= 1 - gamma
            total += chance
            pleased += chance * content
            for at in range(depth + 1):
                seen[at] += chance
    return total, seen, pleased


@pytest.mark.parametrize("waiting", [0, 10, 1_000_000])
def test_cells_are_counts_whichever_way_they_are_summed(
    tiny: Impressions, waiting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dense and sparse sums, of a log in parts that wait to be merged, equal a dictionary of counts."""
    monkeypatch.setattr("training.clicks.cells.WORTH_MERGING", waiting)
    pairs = Pairs.of(parts(tiny))
    expected: dict[tuple[int, int], list[float]] = defaultdict(lambda: [0.0, 0.0])
    names = alpha_of(pairs, np.arange(len(pairs), dtype=float))
    for query, page in events(tiny):
        for at, document, hit in page:
            cell = expected[int(names[query, document]), at]
            cell[0] += 1
            cell[1] += hit
    for sums in (Dense(len(pairs) * 4), Sparse()):
        for pages in parts(tiny, 7)():
            there = pages.shown
            keys = (pairs.at(pages) * 4 + ranks(pages))[there]
            sums.add(keys, np.ones(len(keys)), pages.clicked[there].astype(float))
        keys, shown, clicks = sums.cells()
        found = {(int(k) // 4, int(k) % 4): [a, b] for k, a, b in zip(keys, shown, clicks, strict=True)}
        assert found == dict(expected)


def test_merged_pages_say_the_same_as_all_of_them(tiny: Impressions) -> None:
    """Compression keeps every page, by weight; a log too large for memory is read anew."""
    doubled = joined([tiny, tiny])
    merged = doubled.compressed()
    assert len(merged) < len(doubled)
    assert merged.weight.sum() == len(doubled)
    rows = {
        (q, tuple(d), tuple(c))
        for q, d, c in zip(merged.query, merged.documents.tolist(), merged.clicked.tolist(), strict=True)
    }
    assert len(rows) == len(merged)
    source = parts(doubled, 13)
    assert sum(page.weight.sum() for page in condensed(source)()) == len(doubled)
    assert condensed(source, most=3) is source
