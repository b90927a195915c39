"""Shadow rankings: the same request by another version, for nobody.

A thread or a few of their own with a short queue; what finds it full is dropped and counted. They hold no
permit of `admission`, have a deadline of their own, and come last where requests wait for a model. What they
cannot avoid is to share the machine. Their threads have no lower priority: one that is held back while it
holds the interpreter holds up all the others.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from time import perf_counter

import msgspec
import numpy as np
import structlog

from cascade.deadline import Deadline
from cascade.experiments.shadows import Shadowed, ShadowLog
from cascade.ranker import Ranker
from cascade.ranking import Ranking
from cascade.request import RankRequest
from features.columns import Rows
from features.fairness import LOW
from serving.experiments.answer import places
from serving.experiments.metrics import ExperimentMetrics
from serving.settings import Shadows

log = structlog.get_logger()

TOP = 10
"""Items at the top that are compared."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A request to be ranked again, and how the control ranked it."""

    tenant: str
    experiment: str
    request_id: str
    ranker: Ranker
    request: RankRequest
    control: Ranking


class Shadow:
    """A bounded pool. Without a log, figures are in the metrics alone."""

    def __init__(
        self,
        settings: Shadows,
        metrics: ExperimentMetrics,
        store: ShadowLog | None,
        clock: Callable[[], float],
    ) -> None:
        self._settings, self._metrics, self._store, self._clock = settings, metrics, store, clock
        self._room = threading.Semaphore(settings.workers + settings.queue)
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def offer(self, task: Task) -> None:
        """Rank it some time, or drop it; returns at once and never raises."""
        if not self._room.acquire(blocking=False):
            self._metrics.shadows.labels("dropped").inc()
            return
        try:
            self._threads().submit(self._run, task)
        except RuntimeError:  # the server ends
            self._room.release()
            self._metrics.shadows.labels("dropped").inc()

    def close(self) -> None:
        """Drop what waits, and return when what runs is done."""
        with self._lock:
            pool = self._pool
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._settings.workers, "shadow")
            return self._pool

    def _run(self, task: Task) -> None:
        try:
            found = self._ranked(task)
            self._metrics.shadows.labels("failed" if found.failed else "ran").inc()
            if self._store is not None:
                self._store.append(task.tenant, task.experiment, found)
        except OSError as error:
            log.error("shadow_not_logged", exc_info=error)
        finally:
            self._room.release()

    def _ranked(self, task: Task) -> Shadowed:
        """What became of a task; a ranker that fails is a result too."""
        last = task.request.deadline.share._replace(priority=LOW)
        deadline = replace(Deadline.after(self._settings.budget_ms / 1e3), share=last)
        request = replace(task.request, deadline=deadline)
        version, time, start = task.ranker.version, self._clock(), perf_counter()
        try:
            ranking = task.ranker.rank(request)
        except Exception as error:
            log.error("shadow_failed", version=version, exc_info=error)
            return Shadowed(version, time, failed=type(error).__name__)
        made = compared(Shadowed(version, time, 1e3 * (perf_counter() - start)), task.control, ranking)
        self._metrics.shadowed(made.ms / 1e3, made.overlap, made.tau)
        return made


def compared(timed: Shadowed, control: Ranking, other: Ranking) -> Shadowed:
    """How far a ranking is from the control's, and what that took by its stages."""
    control_s = sum(one.queue_s + one.features_s + one.inference_s for one in control.reports)
    return msgspec.structs.replace(
        timed,
        control_ms=1e3 * control_s,
        overlap=overlap_of(control.rows, other.rows),
        tau=tau_of(control.rows, other.rows),
        degraded=other.degraded,
    )


def overlap_of(control: Rows, other: Rows, top: int = TOP) -> float:
    """Share of the control's first items that the other has among its first; 1 where there are none."""
    mine = control[:top]
    return float(np.isin(mine, other[:top]).mean()) if len(mine) else 1.0


def tau_of(control: Rows, other: Rows, top: int = TOP) -> float:
    """Kendall's tau (a: rankings have no ties) over what is among the first items of either ranking.

    (concordant - discordant) / pairs; 1 where there is no pair. Every item has a place in both rankings.
    """
    rows = np.union1d(control[:top], other[:top])
    if len(rows) < 2:
        return 1.0
    first, second = (places(ranking)[rows] for ranking in (control, other))
    upper = np.triu_indices(len(rows), 1)
    signs = np.sign(np.subtract.outer(first, first)) * np.sign(np.subtract.outer(second, second))
    return float(signs[upper].mean())
