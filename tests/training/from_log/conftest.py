"""A shop with its log, and trainings on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cascade.config import parse_config
from cascade.deadline import NEVER
from cascade.eventlog.testing import START_S, write_segment
from cascade.events import Event
from cascade.load import load_ranker
from cascade.ranker import Ranker
from cascade.store import DirectoryStore
from cascade.testing import candidates
from features.columns import number
from training.from_log.publish import learn_and_publish
from training.from_log.settings import Learning
from training.from_log.task import Learned, LogTask
from training.from_log.testing import TENANT, TREES, Market, agreement, clicks, serving
from training.publish import Target
from training.trainers import Context

NOW = datetime.fromtimestamp(START_S + 10 * 86_400, UTC)


@dataclass
class Shop:
    """A store with a promoted ranker, and a log."""

    root: Path
    store: DirectoryStore
    version: str
    market: Market

    def log(self, events: Sequence[Event], name: str = "log") -> Path:
        """Events, appended to a log of that name."""
        return write_segment(self.root / name, events, tenant=TENANT)

    def train(self, config: str = TREES, *, log: str = "log", **how: Any) -> tuple[str, Learned]:
        """A training; what is no field of the task goes to its settings."""
        own = {key: how.pop(key) for key in ("since", "until", "go_on") if key in how}
        learning = Learning(**{"resamples": 0, **how})
        task = LogTask(parse_config(config), self.root / log, learning=learning, **own)
        return learn_and_publish(task, Target(self.store, TENANT, "default"), Context(), NOW)

    def ranker(self, version: str) -> Ranker:
        """A published version, loaded."""
        return load_ranker(self.store.path(TENANT, "default", version), "default")

    def tau(self, version: str) -> float:
        """How well its last stage agrees with what people truly like."""
        ranker = self.ranker(version)
        ids = [f"d{one}" for one in range(len(self.market.price))]
        batch = candidates(ids, {name: number(values) for name, values in self.market.columns().items()})
        scores = ranker.steps[-1].stage.score(batch, ranker.features.compute(batch), NEVER).scores
        return agreement(scores, self.market)


def opened(root: Path, config: str | None = None) -> Shop:
    """A shop whose log is still empty."""
    store, version = serving(root, config) if config else serving(root)
    return Shop(root, store, version, Market.of())


@pytest.fixture
def opening(tmp_path: Path) -> Callable[..., Shop]:
    """Opens shops of this test's own."""
    numbers = count()
    return lambda config=None: opened(tmp_path / f"shop{next(numbers)}", config)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop with 1,500 pages by fame, in which nobody promotes."""
    made = opened(tmp_path_factory.mktemp("shop"))
    made.log(clicks(made.market, 1_500, noise=0.05))
    return made
