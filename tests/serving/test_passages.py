"""The passage that a score is due to, from the stage to the client; and a caller who leaves amid a stage."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from cascade.deadline import Deadline
from cascade.stage import Passage, Span, StageResult
from features.batch import CandidateBatch
from features.columns import Input, Kind
from serving.testing import TENANT, ByColumn, channel, ranker, running, target
from sluice import Client
from sluice import Passage as Shown
from sluice.v1 import ranking_pb2_grpc as rpc


@dataclass(frozen=True)
class Reader(ByColumn):
    """Scores by price, and says that the score is due to a word of the body."""

    also: tuple[Input, ...] = (Input("body", Kind.TEXT),)

    def score(self, batch: Any, matrix: Any, deadline: Deadline) -> StageResult:
        """The price; the spans count words, and a candidate with one word was not read in passages."""
        bodies = batch.column("body", Kind.TEXT).values
        spans = {row: (1, 2) for row, body in enumerate(bodies) if " " in body}
        return replace(super().score(batch, matrix, deadline), passages=spans)

    def quote(self, batch: CandidateBatch, spans: Mapping[int, Span]) -> Mapping[int, Passage]:
        """The words of the spans."""
        bodies = batch.column("body", Kind.TEXT).values
        words = {row: " ".join(bodies[row].split()[slice(*span)]) for row, span in spans.items()}
        return {row: Passage(bodies[row].index(word), 99, word) for row, word in words.items()}


DOCS = [
    {"id": "a", "price": 1.0, "body": "red shoes"},
    {"id": "b", "price": 3.0, "body": "shoes"},
    {"id": "c", "price": 2.0, "body": "blue 漢字"},
]


def test_the_client_is_shown_the_passage_that_won() -> None:
    """Of those items that were read in passages, and only where features are asked for."""
    with running(ranker(Reader())) as server, Client(target(server), TENANT, timeout_s=30) as client:
        answer = client.rank("q", DOCS, explain="features")
        assert [one.explanation.passage for one in answer.results if one.explanation] == [
            None,
            Shown("first", 5, 99, "漢字"),
            Shown("first", 4, 99, "shoes"),
        ]
        assert client.rank("q", DOCS).results[0].explanation is None


@dataclass(frozen=True)
class UntilGone(ByColumn):
    """Returns once nobody waits for it."""

    entered: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def score(self, batch: Any, matrix: Any, deadline: Deadline) -> StageResult:
        """As `ByColumn`."""
        self.entered.set()
        while not deadline.expired:
            threading.Event().wait(0.001)
        self.ended.set()
        return super().score(batch, matrix, deadline)


@pytest.mark.parametrize("timeout", [None, 3_600])
def test_a_stage_hears_that_the_caller_has_gone(ask: Any, timeout: float | None) -> None:
    """The deadline that it looks at is over with the call, long before the time is up."""
    stage = UntilGone()
    with running(ranker(stage)) as server, channel(server) as opened:
        call = rpc.RankingStub(opened).Rank.future(ask([1.0]), timeout=timeout)
        assert stage.entered.wait(30)
        assert not stage.ended.is_set()
        call.cancel()
        assert stage.ended.wait(30)
