"""Fakes that ship: real servers on free ports, rankers in memory, and stages that a test steers."""

import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import grpc
import numpy as np

from cascade.changes import Changes, Untold
from cascade.deadline import Deadline
from cascade.experiments.declared import Experiment
from cascade.experiments.lifecycle import Experiments
from cascade.names import DEFAULT
from cascade.pipeline import Step
from cascade.promotion import Promotion
from cascade.ranker import Ranker
from cascade.stage import Stage, StageResult, StageSpec
from features.batch import CandidateBatch
from features.columns import Input, Kind
from features.errors import Corrupt, NotFound
from features.featureset import FeatureSet
from features.matrix import FeatureMatrix
from serving.rankers import Source
from serving.server import Server
from serving.settings import Settings

TENANT = "demo"


class Declared(StageSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stands for the table of a stage that a test built by hand."""

    kind: ClassVar[str] = "by_hand"


@dataclass(frozen=True)
class ByColumn:
    """Scores by a number column, and says that it reads further columns."""

    column: str = "price"
    also: tuple[Input, ...] = ()
    reads: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The number column and the others."""
        return (Input(self.column, Kind.NUMBER), *self.also)

    def score(self, batch: CandidateBatch, matrix: FeatureMatrix, deadline: Deadline) -> StageResult:  # noqa: ARG002
        """The column itself."""
        return StageResult(np.array(batch.column(self.column, Kind.NUMBER).values, np.float32))


@dataclass(frozen=True)
class Gate:
    """Scores by the stage it wraps once a test opens it: no test has to sleep to be amid things."""

    stage: Stage = field(default_factory=ByColumn)
    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    opened: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    reads: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Those of the stage behind."""
        return self.stage.inputs

    def score(self, batch: CandidateBatch, matrix: FeatureMatrix, deadline: Deadline) -> StageResult:
        """As the stage behind, after somebody opened the gate for this call."""
        self.entered.release()
        if not self.opened.acquire(timeout=60):
            raise TimeoutError("nobody opened the gate")
        return self.stage.score(batch, matrix, deadline)


@dataclass(frozen=True)
class Broken:
    """Fails as no stage foresees."""

    inputs: tuple[Input, ...] = ()
    reads: tuple[str, ...] = ()

    def score(self, batch: CandidateBatch, matrix: FeatureMatrix, deadline: Deadline) -> StageResult:  # noqa: ARG002
        """Raise, with a secret in the message."""
        raise RuntimeError("secret: /somewhere/private")


def ranker(*stages: Stage, version: str = "v1", name: str = DEFAULT, **spec: Any) -> Ranker:
    """A ranker without features over stages named `first`, `second`, …; `spec` goes to each of them."""
    names = ("first", "second", "third")
    steps = (
        Step(Declared(name=title, **spec), stage)
        for title, stage in zip(names, stages or (ByColumn(),), strict=False)
    )
    return Ranker(name, version, FeatureSet.declare(()), tuple(steps))


class Shelf:
    """Rankers in memory, as a store and its loader in one."""

    def __init__(self, rankers: Mapping[str, Sequence[Ranker]], tenant: str = TENANT) -> None:
        self.tenant = tenant
        self.rankers_: dict[str, dict[str, Ranker]] = {
            name: {each.version: each for each in versions} for name, versions in rankers.items()
        }
        self.promoted: dict[str, str] = {name: versions[0].version for name, versions in rankers.items()}
        self.corrupt: set[str] = set()
        self.running: dict[str, Experiment] = {}
        self.loads: list[str] = []

    def tenants(self) -> tuple[str, ...]:
        """The one tenant."""
        return (self.tenant,)

    def rankers(self, tenant: str) -> tuple[str, ...]:
        """The rankers' names.

        Raises:
            NotFound: for another tenant.
        """
        if tenant != self.tenant:
            raise NotFound(f"no tenant {tenant!r}", path="tenant")
        return tuple(sorted(self.rankers_))

    def versions(self, tenant: str, ranker: str) -> tuple[str, ...]:  # noqa: ARG002
        """A ranker's versions."""
        return tuple(self.rankers_[ranker])

    def changes(self) -> Changes:
        """Everything has to be looked at."""
        return Untold()

    def promotion(self, tenant: str, ranker: str) -> Promotion:  # noqa: ARG002
        """The version that serves."""
        return Promotion(self.promoted.get(ranker, ""))

    def path(self, tenant: str, ranker: str, version: str | None = None) -> Path:
        """A path that `load` understands.

        Raises:
            NotFound: for a version that is not there.
        """
        wanted = version or self.promoted[ranker]
        if wanted not in self.rankers_[ranker]:
            raise NotFound(f"no version {wanted!r}", path="version")
        return Path(tenant, ranker, wanted)

    def experiments(self, tenant: str, ranker: str) -> Experiments:  # noqa: ARG002
        """The experiment that a test put into `running`."""
        return Experiments(self.running.get(ranker))

    def load(self, path: Path, name: str) -> Ranker:
        """The ranker of a path.

        Raises:
            Corrupt: for a version that is listed in `corrupt`.
        """
        self.loads.append(path.name)
        if path.name in self.corrupt:
            raise Corrupt("a digest differs", path=f"/private/{path}")
        return self.rankers_[name][path.name]


@contextmanager
def running(
    served: Ranker | Shelf | Source, settings: Settings | None = None, **how: Any
) -> Iterator[Server]:
    """A server on a free port of this machine, ready; `server.port` says which."""
    shelf = Shelf({served.name: [served]}) if isinstance(served, Ranker) else served
    if isinstance(shelf, Shelf):
        how.setdefault("load", shelf.load)
    ids = count(1)
    how.setdefault("new_id", lambda: f"id-{next(ids)}")
    server = Server(settings or Settings(port=0, grace_s=5.0, poll_s=60.0, reserve_ms=0.0), shelf, **how)
    server.start()
    try:
        if not server.ready.wait(60):
            raise TimeoutError("the server did not become ready")
        yield server
    finally:
        server.drain()


@contextmanager
def channel(server: Server) -> Iterator[grpc.Channel]:
    """A channel to a running server."""
    with grpc.insecure_channel(target(server)) as opened:
        yield opened


def target(server: Server) -> str:
    """Where a running server listens."""
    return f"{server.settings.host}:{server.port}"


READY = "serving on "
"""What `sluice serve` prints, with the address behind, once it is ready."""


@dataclass(frozen=True, slots=True)
class Process:
    """A `sluice serve` in a process of its own."""

    child: subprocess.Popen[str]
    target: str


@contextmanager
def serving_process(store: Path, *flags: str) -> Iterator[Process]:
    """Start `sluice serve` on a free port, and wait until it says that it is ready.

    Raises:
        RuntimeError: if it ends before.
    """
    command = [
        sys.executable,
        "-c",
        "from cli.main import main; main()",
        "serve",
        "--store",
        str(store),
        "--port",
        "0",
        *flags,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 (our own command)
        try:
            yield Process(child, ready_line(child))
        finally:
            if child.poll() is None:
                child.kill()


def ready_line(child: subprocess.Popen[str]) -> str:
    """The address out of the line that says so."""
    for line in child.stdout or ():
        if line.startswith(READY):
            return line.removeprefix(READY).strip()
    raise RuntimeError(f"sluice serve ended with {child.wait()} before it was ready")
