"""A cascade with its features, loaded and ready to rank."""

from collections.abc import Iterator
from dataclasses import dataclass

from cascade import explain, pipeline
from cascade.explain import Explanation
from cascade.pipeline import Step
from cascade.ranking import Ranking
from cascade.request import RankRequest
from features.columns import Input
from features.featureset import FeatureSet


@dataclass(frozen=True, slots=True, eq=False)
class Ranker:
    """Features and stages under a name and a version (the digest of the bundle they came from).

    `log` is what the ranker declares on recording impressions, where a request leaves it open.
    """

    name: str
    version: str
    features: FeatureSet
    steps: tuple[Step, ...]
    log: bool = False

    def rank(self, request: RankRequest) -> Ranking:
        """The final ranking, all candidates, best first.

        Raises:
            OutOfTime: if the deadline passed before any stage had finished.
        """
        return pipeline.run(self.steps, self.features.compute, request)

    def stream(self, request: RankRequest) -> Iterator[Ranking]:
        """The ranking after every stage; the last one has `final` set."""
        return pipeline.stream(self.steps, self.features.compute, request)

    def explain(self, request: RankRequest, ranking: Ranking) -> tuple[Explanation, ...]:
        """Feature values and contributions along the rows of a ranking that this ranker gave."""
        return explain.explain(self.steps, request, ranking)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The candidate columns that features and stages read, each once."""
        every = (
            *self.features.inputs,
            *(read for step in self.steps for read in step.stage.inputs),
        )
        return tuple(dict.fromkeys(every))
