"""How far a variant of a model strays from full precision, on real pairs, and what that costs in nDCG@10."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from scipy.stats import kendalltau

from features.columns import Floats

TOP = 10
CANDIDATES = 24
"""Candidates a query is judged on: its own, filled up with other queries'."""
QUERIES = 16


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """One variant against float32.

    Attributes:
        bytes: of the model file.
        max_deviation, mean_deviation: of scores, absolute.
        spread: the standard deviation of the float32 scores, to read deviations against.
        tau: Kendall's tau-b of a query's candidates, the mean over queries.
        top_10: share of the float32 top 10 that is in the variant's, the mean over queries.
        ndcg_10: of the variant's order; None where nothing was judged, as the next two.
        ndcg_10_lost: by how much it is below the reference's, and ndcg_10_error: the standard error of that.
    """

    bytes: int
    max_deviation: float
    mean_deviation: float
    spread: float
    tau: float
    top_10: float
    ndcg_10: float | None = None
    ndcg_10_lost: float | None = None
    ndcg_10_error: float | None = None


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """What a variant may lose before it is refused.

    Attributes:
        tau, top_10: the least that may be left of the reference's order.
        ndcg_10_lost: the most nDCG@10 that may be lost where pairs are judged. .003 is small beside what a
            stage brings. A loss within two standard errors is chance and refuses nothing, so that a handful
            of judged queries does not decide.
    """

    tau: float = 0.85
    top_10: float = 0.85
    ndcg_10_lost: float = 0.003

    def passes(self, parity: Parity) -> bool:
        """Whether the variant may ship; NaN never does."""
        lost, chance = parity.ndcg_10_lost or 0.0, 2 * (parity.ndcg_10_error or 0.0)
        alike = parity.tau >= self.tau and parity.top_10 >= self.top_10
        return alike and (lost <= self.ndcg_10_lost or lost <= chance)

    def describe(self) -> str:
        """The limits in words."""
        return f"tau {self.tau}, top 10 {self.top_10} and at most {self.ndcg_10_lost} nDCG@10 lost"


@dataclass(frozen=True, slots=True)
class Trial:
    """Pairs to judge on, `CANDIDATES` or fewer for each query."""

    pairs: tuple[tuple[str, str], ...]
    groups: tuple[tuple[int, ...], ...]


def trial(pairs: Sequence[tuple[str, str]], random: np.random.Generator) -> Trial:
    """Up to `QUERIES` queries with their own documents, filled up with others' to `CANDIDATES`."""
    own: dict[str, list[str]] = {}
    for query, document in pairs:
        own.setdefault(query, []).append(document)
    documents = list(dict.fromkeys(document for _, document in pairs))
    queries = list(own)
    chosen = [queries[i] for i in np.sort(random.permutation(len(queries))[:QUERIES]).tolist()]
    made: list[tuple[str, str]] = []
    groups: list[tuple[int, ...]] = []
    for query in chosen:
        others = [documents[i] for i in random.permutation(len(documents))[:CANDIDATES].tolist()]
        texts = list(dict.fromkeys([*own[query], *others]))[:CANDIDATES]
        groups.append(tuple(range(len(made), len(made) + len(texts))))
        made += [(query, text) for text in texts]
    return Trial(tuple(made), tuple(groups))


def compare(groups: Sequence[Sequence[int]], reference: Floats, found: Floats, size: int) -> Parity:
    """The parity of a variant's scores with the reference's; a file of `size` bytes."""
    away = np.abs(found - reference)
    taus = [correlation(reference[list(group)], found[list(group)]) for group in groups]
    tops = [overlap(reference[list(group)], found[list(group)]) for group in groups]
    return Parity(
        bytes=size,
        max_deviation=float(away.max()),
        mean_deviation=float(away.mean()),
        spread=float(reference.std()),
        tau=float(np.mean(taus)),
        top_10=float(np.mean(tops)),
    )


def correlation(left: Floats, right: Floats) -> float:
    """Kendall's tau-b; 1 where either side has nothing to order and both agree on it."""
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return float("nan")
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        return float(np.ptp(left) == np.ptp(right))
    return float(kendalltau(left, right).statistic)


def overlap(left: Floats, right: Floats) -> float:
    """Share of the left's top 10 (half of the candidates, where there are few) in the right's."""
    top = min(TOP, max(1, len(left) // 2))
    best = [set(np.argsort(-side, kind="stable")[:top].tolist()) for side in (left, right)]
    return len(best[0] & best[1]) / top
