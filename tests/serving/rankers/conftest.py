"""A store of many tenants in memory, whose loads a test steers."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog

from cascade.changes import Changes, Untold
from cascade.promotion import Promotion
from cascade.ranker import Ranker
from features.errors import Corrupt, NotFound
from serving.rankers import Catalogue
from serving.rankers.served import Handle
from serving.rankers.weigh import Parts
from serving.settings import Rankers
from serving.testing import ranker


@dataclass
class Mall:
    """Tenants with a `default` ranker each; a load of a tenant whose gate is shut waits until it is
    opened."""

    promoted: dict[str, str]
    weights: dict[str, Parts] = field(default_factory=dict)
    corrupt: set[str] = field(default_factory=set)
    gates: dict[str, threading.Event] = field(default_factory=dict)
    loads: list[str] = field(default_factory=list)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    away: bool = False

    def tenants(self) -> tuple[str, ...]:
        self._look()
        return tuple(self.promoted)

    def rankers(self, tenant: str) -> tuple[str, ...]:
        self._look()
        if tenant not in self.promoted:
            raise NotFound(f"no tenant {tenant!r}; there are {self.promoted}", path="tenant")
        return ("default",)

    def versions(self, tenant: str, ranker: str) -> tuple[str, ...]:
        return ("v1", "v2")

    def promotion(self, tenant: str, ranker: str) -> Promotion:
        self.rankers(tenant)
        return Promotion(self.promoted[tenant])

    def path(self, tenant: str, ranker: str, version: str | None = None) -> Path:
        self._look()
        return Path(tenant, ranker, version or self.promoted[tenant])

    def changes(self) -> Changes:
        return Untold()

    def load(self, path: Path, name: str) -> Ranker:
        tenant, _, version = path.parts
        self.loads.append(f"{tenant}@{version}")
        self.begun.release()
        if tenant in self.gates and not self.gates[tenant].wait(30):
            raise TimeoutError("nobody opened the gate")
        if tenant in self.corrupt:
            raise Corrupt("a digest differs", path=f"/private/{path}")
        return ranker(version=version, name=name)

    def weigh(self, store: Any, handle: Handle) -> Parts:
        return self.weights.get(handle[0], {handle[0]: 1})

    def catalogue(self, **how: Any) -> Catalogue:
        """A catalogue that loads nothing ahead, and one after the other, unless told so."""
        options = {"preload": "none", "load_threads": 1, **how.pop("options", {})}
        return Catalogue(self, self.load, options=Rankers(**options), weigh=self.weigh, **how)

    def shut(self, tenant: str) -> threading.Event:
        """From now on loads of a tenant wait until the event is set."""
        self.gates[tenant] = threading.Event()
        return self.gates[tenant]

    def _look(self) -> None:
        if self.away:
            raise OSError("stale file handle")


@pytest.fixture
def mall() -> Iterator[Mall]:
    """Three tenants; whatever is still shut at the end is opened."""
    made = Mall({"a": "v1", "b": "v1", "c": "v1"})
    with structlog.testing.capture_logs():
        yield made
    for gate in made.gates.values():
        gate.set()
