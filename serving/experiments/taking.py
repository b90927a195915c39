"""Experiments as the service sees them: which part a request has."""

from cascade.experiments.assignment import group_of
from serving.experiments.metrics import ExperimentMetrics
from serving.experiments.parts import Alone, Drawn, Part
from serving.experiments.shadow import Shadow
from serving.experiments.watch import Watching
from serving.rankers import Served
from sluice.v1 import ranking_pb2 as pb


class Taking:
    """Hands out parts: in an experiment where one runs, and else the one of whoever serves."""

    def __init__(self, watching: Watching, shadow: Shadow, metrics: ExperimentMetrics) -> None:
        self._watching, self._shadow, self._metrics = watching, shadow, metrics

    def part(self, message: pb.RankRequest, request_id: str, served: Served) -> Part:
        """The part of a request that `served` would answer."""
        trial = self._watching.trial(message.tenant, message.ranker, served)
        if trial is None:
            return Alone(served)
        user = message.user
        group = group_of(trial.experiment, user.id, user.session_id, request_id)
        return Drawn(trial, group, request_id, self._shadow, self._metrics)

    def close(self) -> None:
        """Let shadows end."""
        self._shadow.close()
