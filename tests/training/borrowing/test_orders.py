"""Many queries at once are ordered as one by one in serving, through cuts and earlier scores."""

from datetime import datetime
from pathlib import Path

import pytest

from cascade.config import parse_config
from cascade.ranker import Ranker
from cascade.request import RankRequest
from cascade.store import DirectoryStore
from training.borrowing.base import Base, open_base
from training.borrowing.borrow import borrow_and_publish
from training.borrowing.choose import Settings
from training.borrowing.orders import score_by
from training.borrowing.testing import CASCADE, write_shop
from training.collection import Collection, read_collection
from training.fit import lists_of
from training.publish import Target, Task, gathered, train_and_publish
from training.trainers import Context

CUT = CASCADE.replace(
    "[[stages]]",
    """
[[stages]]
kind = "linear"
weights = { price = 1.0, stars = 0.2 }
keep = 5

[[stages]]""",
)


@pytest.fixture
def two_stages(tmp_path: Path, noon: datetime) -> Base:
    """A base that cuts to five before its trees, which read the first stage's score too."""
    store = DirectoryStore(tmp_path / "store")
    task = Task(parse_config(CUT), read_collection(write_shop(tmp_path / "lender", 80, seed=9)), "judged")
    version, _ = train_and_publish(task, Target(store, "lender", "default"), Context(figures=False), noon)
    return open_base(store, f"lender/default@{version}")


def served(ranker: Ranker, base: Base, shop: Collection) -> dict[str, list[str]]:
    """Query → documents, best first, each query a request."""
    data, _ = gathered(base.ranker.features, Task(base.config, shop, "judged"), Context())
    batches = [data.batch.only(place) for place in range(len(data.batch.queries))]
    return {
        batch.queries[0].id: [batch.ids[row] for row in ranker.rank(RankRequest(batch)).rows.tolist()]
        for batch in batches
    }


def test_as_in_serving(two_stages: Base, tmp_path: Path) -> None:
    """The order of every query is the ranker's own; no more than the cut let through was scored last."""
    shop = read_collection(write_shop(tmp_path / "shop", 12, seed=2))
    data, _ = gathered(two_stages.ranker.features, Task(two_stages.config, shop, "judged"), Context())
    scored = score_by(two_stages.ranker.steps, data)
    assert len(scored.given.labels) == 12 * 5
    orders = lists_of(scored.all.batch, scored.standing(scored.scores))
    assert orders == served(two_stages.ranker, two_stages, shop)


def test_a_borrower_of_two_stages_serves_what_was_judged(
    two_stages: Base, tmp_path: Path, noon: datetime
) -> None:
    """Base + residual behind a cut: loaded from its bundle it ranks otherwise than the base, and as told."""
    shop = read_collection(write_shop(tmp_path / "shop", 60, (1.0, 0.9), seed=2))
    target = Target(DirectoryStore(tmp_path / "store"), "shop", "default")
    task = Task(two_stages.config, shop, "judged")
    made = borrow_and_publish(task, target, two_stages, Settings(), Context(), noon)
    assert made.choice.kind == "residual"
    ranker = open_ranker(target, made.version)
    assert served(ranker, two_stages, shop) != served(two_stages.ranker, two_stages, shop)


def open_ranker(target: Target, version: str) -> Ranker:
    """The published ranker, its golden scores reproduced."""
    from cascade.load import load_ranker

    return load_ranker(target.store.path(target.tenant, target.ranker, version), target.ranker)
