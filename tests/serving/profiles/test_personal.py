"""Profiles in a real server: what it logs is replayed to the bit, and what it cannot read it does without."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import grpc
import numpy as np
import pytest
import structlog

from cascade.deadline import Deadline
from cascade.eventlog.compact import compact
from cascade.eventlog.history import whole_log
from cascade.eventlog.layout import home_of
from cascade.pipeline import Step
from cascade.profiles.join import Wanted
from cascade.profiles.replay import replay
from cascade.profiles.rules import Rules
from cascade.profiles.testing import GENRES
from cascade.ranker import Ranker
from cascade.stage import StageResult
from features.batch import CandidateBatch
from features.columns import Input
from features.featureset import FeatureSet
from features.kinds.affinity import Affinity
from features.kinds.behaviour import Behaviour
from features.kinds.taste import Taste
from features.matrix import FeatureMatrix
from serving.server import Server
from serving.settings import Feedback, Profiles, Settings
from serving.testing import TENANT, Declared, channel, running
from sluice.v1 import feedback_pb2, feedback_pb2_grpc
from sluice.v1 import ranking_pb2 as pb
from sluice.v1 import ranking_pb2_grpc as rpc

FEATURES = FeatureSet.declare(
    (
        Behaviour(name="popular", of="item"),
        Behaviour(name="again", of="user_item", signal="engagement"),
        Behaviour(name="asked", of="query_item", prior=5.0),
        Behaviour(name="visit", of="session_item", statistic="count", signal="impression", window="recent"),
        Affinity(name="genre", field="genres"),
        Taste(name="taste", field="embedding"),
        Taste(name="mood", field="embedding", of="session", window="recent"),
    )
)


@dataclass(frozen=True)
class Summed:
    """Scores by the sum of what features there are."""

    reads: tuple[str, ...] = FEATURES.names
    inputs: tuple[Input, ...] = ()

    def score(self, batch: CandidateBatch, matrix: FeatureMatrix, deadline: Deadline) -> StageResult:
        """The sum, what is missing left out."""
        return StageResult(np.nansum(matrix.select(self.reads), axis=1).astype(np.float32))


def personal(log: bool = True) -> Ranker:
    """A ranker that knows nothing but behaviour."""
    return Ranker("default", "v1", FEATURES, (Step(Declared(name="sum"), Summed()),), log)


def settings(folder: Path, wait: bool = True, **profiles: Any) -> Settings:
    """A server whose answers come after the disk, and whose profiles are brought up to date when told."""
    made = Profiles(**{"every_ms": 3_600_000.0, "max_gb": 1, **profiles})
    return Settings(
        port=0,
        grace_s=5.0,
        poll_s=60.0,
        reserve_ms=0.0,
        log=str(folder / "log"),
        profiles=made,
        feedback=Feedback(wait=wait),
    )


def asked(ids: list[str], **fields: Any) -> pb.RankRequest:
    """A request for items whose genres and vectors follow from their ids."""
    request = pb.RankRequest(**{"tenant": TENANT, "query": pb.Query(text="a film"), **fields})
    request.candidates.ids.extend(ids)
    rows = [Random(item) for item in ids]
    genres = [random.sample(GENRES, random.randint(1, 2)) for random in rows]
    column = request.candidates.columns.add(name="genres").keyword
    column.values.extend(one for row in genres for one in row)
    column.counts.extend(map(len, genres))
    vectors = np.array([[random.gauss(0, 1) for _ in range(4)] for random in rows], "<f4")
    vector = request.candidates.columns.add(name="embedding").vector
    vector.dimension, vector.data = 4, vectors.tobytes()
    return request


def clicked(request_id: str, item: str, event_id: str = "e", **fields: Any) -> feedback_pb2.RecordRequest:
    """A click."""
    made = {"event_id": event_id, "request_id": request_id, "candidate_id": item, "type": "CLICK", **fields}
    return feedback_pb2.RecordRequest(tenant=TENANT, interactions=[feedback_pb2.Interaction(**made)])


@dataclass(frozen=True)
class Opened:
    """A server with its stubs."""

    server: Server
    ranking: rpc.RankingStub
    feedback: feedback_pb2_grpc.FeedbackStub

    def learn(self) -> None:
        """Bring the profiles up to what is on the disk."""
        updater = self.server.personal.updater
        assert updater is not None
        updater.turn()


@contextmanager
def opened(configured: Settings, served: Ranker | None = None, **how: Any) -> Iterator[Opened]:
    """A running server."""
    with (
        structlog.testing.capture_logs(),
        running(served or personal(), configured, **how) as server,
        channel(server) as wire,
    ):
        yield Opened(server, rpc.RankingStub(wire), feedback_pb2_grpc.FeedbackStub(wire))


def visit(one: Opened, number: int, random: Random) -> None:
    """A person asks, looks, and perhaps does something."""
    user = pb.User(id=random.choice(("ann", "bob", "")), session_id=random.choice(("s1", "")))
    ids = random.sample([f"i{item}" for item in range(15)], 8)
    answer = one.ranking.Rank(asked(ids, user=user, top_k=5, request_id=f"r{number}"))
    for event in range(random.randint(0, 2)):
        item = random.choice(answer.results).id
        one.feedback.Record(clicked(f"r{number}", item, f"e{event}", dwell_s=random.uniform(0, 100)))
    if random.random() < 0.6:
        one.learn()


def differences(folder: Path) -> tuple[int, float]:
    """Impressions of a log whose replayed features are not the logged bytes, and the largest taste in it."""
    wanted, wrong, most = Wanted.of(read.name for read in FEATURES.inputs), 0, 0.0
    for moment in replay(lambda: whole_log(home_of(folder / "log", TENANT)), wanted, Rules()):
        impression = moment.impression
        logged = np.frombuffer(impression.features, "<f4").reshape(len(impression.candidates), -1)
        at = [impression.names.index(name) for name in FEATURES.names]
        made = FEATURES.compute(moment.batch).values
        wrong += made.tobytes() != np.ascontiguousarray(logged[:, at]).tobytes()
        most = max(most, float(np.nanmax(np.abs(made), initial=0.0)))
    return wrong, most


def test_a_replay_of_a_servers_log_gives_its_features_to_the_bit(tmp_path: Path) -> None:
    """Over segments, over restarts, and over what was compacted in between."""
    random = Random(5)
    for start in (0, 25):
        with opened(settings(tmp_path, wait=start > 0)) as one:
            for number in range(start, start + 25):
                visit(one, number, random)
        wrong, most = differences(tmp_path)
        assert (wrong, most > 0.5) == (0, True)
        compact(home_of(tmp_path / "log", TENANT))
        assert differences(tmp_path) == (0, most)
    assert sum(1 for _ in whole_log(home_of(tmp_path / "log", TENANT))) > 60


def test_a_click_moves_the_next_ranking(tmp_path: Path) -> None:
    """What somebody clicked comes first the next time, for them; evidence says why."""
    with opened(settings(tmp_path)) as one:
        ann = pb.User(id="ann")
        ids = [f"i{item}" for item in range(6)]
        first = one.ranking.Rank(asked(ids, user=ann, request_id="r1"))
        chosen = first.results[-1].id
        assert one.feedback.Record(clicked("r1", chosen)).accepted == 1
        one.learn()
        again = one.ranking.Rank(asked(ids, user=ann, explain=pb.EXPLAIN_FEATURES))
        assert again.results[0].id == chosen
        evidence = {each.name: each.value for each in again.results[0].explanation.evidence}
        assert evidence["user_item.engagement.long"] == pytest.approx(1.0, abs=1e-3)
        assert evidence["user_vector.cosine.long.embedding"] == pytest.approx(1.0, abs=1e-3)
        stranger = one.ranking.Rank(asked(ids, user=pb.User(id="eve"), explain=pb.EXPLAIN_FEATURES))
        names = {each.name for result in stranger.results for each in result.explanation.evidence}
        assert names
        assert not any(name.startswith("user") for name in names)


def test_unknown_people_and_items_have_the_prior(tmp_path: Path) -> None:
    """Before anything is known all items are alike, and a new item stands where the tenant's rate puts it."""
    with opened(settings(tmp_path)) as one:
        answer = one.ranking.Rank(asked(["a", "b"], user=pb.User(id="ann"), explain=pb.EXPLAIN_FEATURES))
        values = [
            {each.name: each.value for each in result.explanation.features} for result in answer.results
        ]
        assert values[0]["popular"] == values[1]["popular"] == pytest.approx(0.5)
        assert values[0]["genre"] == values[1]["genre"] == 0.0
        assert not answer.degraded
        assert not answer.warnings


def test_another_tenants_user_is_a_stranger(tmp_path: Path) -> None:
    """The same user id under another tenant has no history: keys are the tenant's own."""
    with opened(settings(tmp_path)) as one:
        one.ranking.Rank(asked(["a", "b"], user=pb.User(id="ann"), request_id="r1"))
        one.feedback.Record(clicked("r1", "a"))
        one.learn()
        store = one.server.personal._store
        assert store is not None
        assert store.read(TENANT, [b"user:ann"])[0] is not None
        assert store.read("other", [b"user:ann"]) == [None]


def test_without_profiles_a_ranking_goes_on_and_says_so(tmp_path: Path) -> None:
    """kind = none: behaviour is missing, the answer is degraded and warns; nothing lies on the disk."""
    with opened(settings(tmp_path, kind="none")) as one:
        answer = one.ranking.Rank(asked(["a", "b"]))
        assert len(answer.results) == 2
        assert answer.degraded
        assert [warning for warning in answer.warnings if warning.startswith("profiles:")]
    assert not (tmp_path / "log-profiles").exists()


def test_nothing_is_opened_for_rankers_that_read_no_behaviour(tmp_path: Path) -> None:
    """No store, no thread."""
    plain = Ranker("default", "v1", FeatureSet.declare(()), (Step(Declared(name="sum"), Summed(())),))
    with opened(settings(tmp_path), plain) as one:
        request = pb.RankRequest(tenant=TENANT, query=pb.Query(text="a"))
        request.candidates.ids.append("a")
        assert one.ranking.Rank(request).results
        assert one.server.personal.updater is None
    assert not (tmp_path / "log-profiles").exists()


def test_columns_that_are_sent_stand(tmp_path: Path) -> None:
    """A caller who knows better, or replays a request, sends a column of behaviour itself."""
    with opened(settings(tmp_path)) as one:
        request = asked(["a", "b"], user=pb.User(id="ann"), explain=pb.EXPLAIN_FEATURES)
        column = request.candidates.columns.add(name="behaviour.session_item.impression.recent")
        column.number.values.extend([3.0, 4.0])
        answer = one.ranking.Rank(request)
        told = {
            result.id: {each.name: each.value for each in result.explanation.features}
            for result in answer.results
        }
        assert {name: values["visit"] for name, values in told.items()} == {"a": 3.0, "b": 4.0}


def test_a_moment_that_is_no_time_is_an_error(tmp_path: Path) -> None:
    """`now` has to be one."""
    with opened(settings(tmp_path)) as one:
        request = asked(["a"])
        request.query.values["now"].text = "soon"
        with pytest.raises(grpc.RpcError) as refused:
            one.ranking.Rank(request)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
