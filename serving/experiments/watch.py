"""Which experiments run, and their arms, loaded beside what serves.

A ranker's file is looked at by the first request after every `every_s`, so that rankers that nobody asks for
cost nothing. Arms are loaded in the background: until all are there, and where one fails its checks, the
control answers as if there were no experiment.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Protocol

import structlog

from cascade.experiments.declared import Experiment
from cascade.experiments.lifecycle import Experiments
from cascade.names import DEFAULT
from features.errors import Conflict, SluiceError
from serving.convert import Reads
from serving.experiments.metrics import ExperimentMetrics
from serving.experiments.parts import Trial
from serving.rankers import Served

log = structlog.get_logger()

RETRY_S = 30.0
"""Arms that could not be loaded are tried again after this long: someone may have mended them."""

Key = tuple[str, str]
Background = Callable[[Callable[[], None]], None]


class Declared(Protocol):
    """What of `cascade.store.Store` experiments are read from."""

    def experiments(self, tenant: str, ranker: str) -> Experiments: ...


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known of a ranker's experiment: when to look again, what runs, and its arms once loaded."""

    look_at: float
    experiment: Experiment | None = None
    trial: Trial | None = None
    retry_at: float = 0.0


def in_thread(work: Callable[[], None]) -> None:
    """Beside everything else; a server that ends does not wait for it."""
    threading.Thread(target=work, name="experiments", daemon=True).start()


class Watching:
    """The experiments of a store. Any thread may ask."""

    def __init__(
        self,
        store: Declared,
        get: Callable[[str, str], Served],
        every_s: float,
        metrics: ExperimentMetrics,
        clock: Callable[[], float] = monotonic,
        background: Background = in_thread,
    ) -> None:
        self._store, self._get, self._every_s, self._metrics = store, get, every_s, metrics
        self._clock, self._background = clock, background
        self._known: dict[Key, Known] = {}
        self._lock = threading.Lock()

    def trial(self, tenant: str, name: str, served: Served) -> Trial | None:
        """The experiment that a request for a ranker may take part in, with its arms.

        None where none runs, where the arms are not loaded (yet), where the caller pins a version, and where
        the control is not what serves any more.
        """
        if "@" in name:
            return None
        key = (tenant, name or DEFAULT)
        known = self._known.get(key)
        if known is None or self._clock() >= known.look_at:
            known = self._look(key, served)
        trial = known.trial
        return trial if trial and trial.experiment.control == served.ranker.version else None

    def _look(self, key: Key, served: Served) -> Known:
        """What the file says now; another thread that looks meanwhile is told what was known before."""
        with self._lock:
            before, now = self._known.get(key, Known(0.0)), self._clock()
            if now < before.look_at:
                return before
            self._known[key] = replace(before, look_at=now + self._every_s)
        running = self._running(key, before.experiment)
        if self._note(key, running, now) and running is not None:
            self._background(lambda: self._begin(key, running, served))
        return self._known[key]

    def _note(self, key: Key, running: Experiment | None, now: float) -> bool:
        """Remember what runs; whether its arms are to be loaded."""
        with self._lock:
            known = self._known[key]
            if running != known.experiment:
                log.info("experiment", ranker="/".join(key), running=running.name if running else None)
                known = Known(known.look_at, running)
            due = running is not None and known.trial is None and now >= known.retry_at
            self._known[key] = replace(known, retry_at=now + RETRY_S) if due else known
            return due

    def _running(self, key: Key, before: Experiment | None) -> Experiment | None:
        try:
            return self._store.experiments(*key).running
        except (OSError, SluiceError) as error:
            log.error("experiments_unreadable", ranker="/".join(key), exc_info=error)
            return before

    def _begin(self, key: Key, experiment: Experiment, served: Served) -> None:
        """Load the arms; the experiment begins here once all are there."""
        try:
            trial = self._loaded(key, experiment, served)
        except Exception as error:
            self._metrics.begun.labels("failed").inc()
            log.error(
                "experiment_not_begun", ranker="/".join(key), experiment=experiment.name, exc_info=error
            )
            return
        with self._lock:
            if self._known[key].experiment == experiment:
                self._known[key] = replace(self._known[key], trial=trial)
        self._metrics.begun.labels("ok").inc()
        log.info("experiment_begun", ranker="/".join(key), experiment=experiment.name)

    def _loaded(self, key: Key, experiment: Experiment, served: Served) -> Trial:
        tenant, ranker = key
        others = (self._get(tenant, f"{ranker}@{version}") for version in experiment.arms[1:])
        if served.ranker.version != experiment.control:
            raise Conflict(f"{served.ranker.version} serves, while the control is {experiment.control}")
        arms = (served, *others)
        return Trial(tenant, experiment, arms, together([arm.reads for arm in arms]))


def together(every: list[Reads]) -> Reads:
    """The columns that any arm reads.

    Raises:
        Conflict: if one reads a column as another kind than the control: what was right for the one could be
            refused for the other's sake.
    """
    control, made = every[0], dict(every[0])
    for reads in every[1:]:
        for name, kinds in reads.items():
            if name in control and not kinds <= control[name]:
                raise Conflict(f"column {name!r} is read as {', '.join(sorted(kinds))} by an arm alone")
            made[name] = made.get(name, frozenset()) | kinds
    return made
