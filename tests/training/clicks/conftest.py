"""Small logs by users whose parameters are known."""

from collections.abc import Callable

import numpy as np
import pytest

from training.clicks.impressions import Impressions
from training.simulate.log import Behaviour, Ranked, SimulatedLog
from training.simulate.users import Users

Simulate = Callable[..., SimulatedLog]


def orders(queries: int, documents: int, each: int, depth: int, seed: int) -> Ranked:
    """Pages in random orders of documents of which every third is relevant."""
    random = np.random.default_rng(seed)
    relevant = random.random((queries, documents)) < 1 / 3
    query = np.repeat(np.arange(queries), each)
    shown = np.stack([random.permutation(documents)[:depth] for _ in query])
    grade = relevant[query[:, None], shown].astype(float)
    return Ranked(query, shown, grade, np.full(len(query), 1 / len(query)), np.zeros(len(query), np.int64))


@pytest.fixture
def simulate() -> Simulate:
    """A log of the given users."""

    def make(
        users: Users,
        pages: int = 60_000,
        queries: int = 30,
        documents: int = 8,
        depth: int = 5,
        seed: int = 3,
    ) -> SimulatedLog:
        ranked = orders(queries, documents, 20, depth, seed)
        return SimulatedLog(ranked, Behaviour(users, (0.2, 0.7), (0.2, 0.8)), pages, seed)

    return make


@pytest.fixture
def tiny() -> Impressions:
    """Forty pages, some shorter than others, one with a gap."""
    random = np.random.default_rng(9)
    query = random.integers(0, 3, 40)
    documents = np.stack([random.permutation(6)[:4] for _ in query])
    documents[::5, 3] = -1
    documents[::7, 2:] = -1
    documents[1, 1] = -1
    clicked = (random.random(documents.shape) < 0.35) & (documents >= 0)
    return Impressions.of(query, documents, clicked)
