"""What part a request has in an experiment, and therefore what answers it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from cascade.experiments.assignment import draw
from cascade.experiments.declared import CANARY, SHADOW, Experiment
from cascade.ranker import Ranker
from cascade.request import RankRequest
from serving.convert import Reads
from serving.experiments.answer import Answer, plain
from serving.experiments.kinds import canary, interleaved
from serving.experiments.metrics import ExperimentMetrics
from serving.experiments.shadow import Shadow, Task
from serving.rankers import Served


class Part(Protocol):
    """How a request is answered."""

    @property
    def reads(self) -> Reads:
        """The columns that whoever answers reads."""
        ...

    @property
    def spared(self) -> frozenset[str]:
        """Those of which the caller need not know that they were not sent."""
        ...

    def answers(self, request: RankRequest) -> Iterator[Answer]:
        """The answer after every stage; the last has a final ranking."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Alone:
    """No experiment: one ranker answers."""

    served: Served

    @property
    def reads(self) -> Reads:
        """Those of the ranker."""
        return self.served.reads

    @property
    def spared(self) -> frozenset[str]:
        """None."""
        return frozenset()

    def answers(self, request: RankRequest) -> Iterator[Answer]:
        """Its rankings."""
        return plain(self.served.ranker, request)


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A running experiment whose arms are loaded, the control's first."""

    tenant: str
    experiment: Experiment
    arms: tuple[Served, ...]
    reads: Reads

    @property
    def rankers(self) -> tuple[Ranker, ...]:
        """Along the arms."""
        return tuple(arm.ranker for arm in self.arms)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A request that fell into a group of an experiment."""

    trial: Trial
    group: int
    request_id: str
    shadow: Shadow
    metrics: ExperimentMetrics

    @property
    def reads(self) -> Reads:
        """Those of all arms, so that what one of them reads is no unknown column."""
        return self.trial.reads

    @property
    def spared(self) -> frozenset[str]:
        """Those that none but shadows read, since these change no answer."""
        trial = self.trial
        only_others = self.reads.keys() - trial.arms[0].reads.keys()
        return frozenset(only_others if trial.experiment.kind == SHADOW else ())

    def answers(self, request: RankRequest) -> Iterator[Answer]:
        """As the kind of the experiment and the group have it."""
        experiment, rankers = self.trial.experiment, self.trial.rankers
        if experiment.kind == SHADOW:
            return self._shadowed(request) if self.group else plain(rankers[0], request)
        arm = experiment.groups[self.group]
        if not self.group:
            return plain(rankers[0], request, arm)
        if experiment.kind == CANARY:
            return canary(rankers[self.group], rankers[0], request, arm, self.metrics)
        seed = draw(experiment, f"page {self.request_id}")
        return interleaved(rankers, request, arm, seed, self.metrics)

    def _shadowed(self, request: RankRequest) -> Iterator[Answer]:
        """The control's answers as if nothing were; the other arms look at the same when there is time."""
        trial = self.trial
        for answer in plain(trial.rankers[0], request):
            if answer.ranking.final:
                for ranker in trial.rankers[1:]:
                    name = trial.experiment.name
                    self.shadow.offer(
                        Task(trial.tenant, name, self.request_id, ranker, request, answer.ranking)
                    )
            yield answer
