"""The lift monitor of a running server."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc
import pytest

from cascade.eventlog.testing import FaultyDisk, done
from cascade.events import Event
from cascade.lift.facts import Facts
from cascade.lift.testing import LiftWorld
from cascade.manifest import MANIFEST
from cascade.store import DirectoryStore
from cascade.testing import write_tiny_bundle
from features.errors import InvalidConfig
from serving.lift import Monitor, WatchedLog, known, monitor_of
from serving.lift_metrics import LiftCollector
from serving.settings import Feedback, Settings, load_settings
from serving.testing import channel, running
from sluice.v1 import feedback_pb2, feedback_pb2_grpc, ranking_pb2, ranking_pb2_grpc

WORLD = LiftWorld.drawn()


def monitored(events: Sequence[Event]) -> Monitor:
    """A monitor that has counted some events."""
    monitor = Monitor(lambda _: Facts(WORLD.stages, WORLD.theta), 20_000)
    monitor.take("demo", events)
    monitor.close()
    return monitor


def samples(monitor: Monitor) -> dict[tuple[str, str], float]:
    """(metric, stage or what) → value."""
    found = [one for family in LiftCollector(monitor).collect() for one in family.samples]
    return {(one.name, one.labels.get("stage", one.labels.get("what", ""))): one.value for one in found}


def test_gauges_tell_lifts_with_their_intervals() -> None:
    """Value between its bounds, near the truth, with tenant, ranker, version and stage as labels."""
    monitor = monitored([*WORLD.events(4_000, 1)])
    page = samples(monitor)
    for number, stage in enumerate(WORLD.stages):
        low, value, high = (page[(f"sluice_stage_lift{end}", stage)] for end in ("_lower", "", "_upper"))
        assert low < value < high
        assert low < WORLD.lift(number) < high
        assert page[("sluice_stage_lift_pages", stage)] == 4_000
    (family, *_) = LiftCollector(monitor).collect()
    assert family.samples[0].labels == {
        "tenant": "demo", "ranker": "default", "version": "v1", "stage": "first",
    }  # fmt: skip


def test_lifts_that_cannot_be_told_are_not() -> None:
    """Of few pages there is their number alone, and no value that looks like one."""
    page = samples(monitored([*WORLD.events(50, 1)]))
    assert page[("sluice_stage_lift_pages", "first")] == 50
    assert ("sluice_stage_lift", "first") not in page


def test_what_is_not_counted_is_told() -> None:
    """Clicks on pages that nobody holds."""
    page = samples(monitored([done("e", "nobody's", "a")]))
    assert page[("sluice_lift_missed_total", "click on no held page")] == 1
    assert page[("sluice_lift_missed_total", "batch dropped")] == 0


def test_a_monitor_that_is_off_costs_nothing() -> None:
    """No queue fills, no thread starts, no lift is told."""
    monitor = Monitor(None, 0)
    monitor.take("demo", [*WORLD.events(10, 1)])
    assert monitor.lifts() == []
    assert (monitor.unmatched, monitor.dropped) == (0, 0)
    monitor.close()


def test_a_crowd_is_dropped_rather_than_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody works the queue off, batches beyond its size are counted as dropped."""
    monkeypatch.setattr("serving.lift.WAITING", 2)
    monitor = Monitor(lambda _: None, 10)
    monkeypatch.setattr("serving.behind.Behind._start", lambda _: None)
    for number in range(5):
        monitor.take("demo", [done(str(number), "r", "a")])
    assert monitor.dropped == 3


def test_an_error_in_the_monitor_stays_there() -> None:
    """Events that break the sums are logged; the next ones count."""
    calls = []

    def facts(key: tuple[str, str, str]) -> Facts:
        calls.append(key)
        if len(calls) == 1:
            raise RuntimeError("broken")
        return Facts(WORLD.stages, WORLD.theta)

    monitor = Monitor(facts, 100)
    monitor.take("demo", [*WORLD.events(3, 1)])
    monitor.close()
    monitor.take("demo", [*WORLD.events(3, 2)])
    monitor.close()
    assert [lifts[0].pages for _, lifts in monitor.lifts()] == [3.0]


def store_of(tmp_path: Path, **data: Any) -> DirectoryStore:
    """A store with one promoted version, whose manifest may tell more."""
    bundle = write_tiny_bundle(tmp_path / "bundle")
    file = bundle / MANIFEST
    told = json.loads(file.read_text())
    file.write_text(json.dumps({**told, "data": {**told["data"], **data}}))
    shelf = DirectoryStore(tmp_path / "store")
    shelf.promote("demo", "default", shelf.publish("demo", "default", bundle))
    return shelf


def test_examination_is_declared_or_told_by_the_manifest(tmp_path: Path) -> None:
    """What settings declare stands above what training found; without either there is no curve."""
    shelf = store_of(tmp_path, examination=[1.0, 0.6])
    key = ("demo", "default", shelf.promotion("demo", "default").version)
    found = known(shelf, None, key)
    assert found is not None
    assert found.stages == ("first", "linear")
    assert found.curve is not None
    assert found.curve.tolist() == [1.0, 0.6]
    declared = known(shelf, WORLD.theta, key)
    assert declared is not None
    assert declared.curve is WORLD.theta
    assert known(shelf, None, ("demo", "default", "gone")) is None


def test_settings_are_checked(tmp_path: Path) -> None:
    """Examination that cannot be right is refused by its path when the server starts, and so is its type."""
    shelf = store_of(tmp_path)
    with pytest.raises(InvalidConfig, match=r"\$\.feedback\.examination"):
        monitor_of(shelf, Feedback(examination=(1.0, 0.0)))
    with pytest.raises(InvalidConfig, match=r"lift_pages"):
        load_settings(None, {"feedback": {"lift_pages": -1}})


def test_only_what_is_on_the_disk_is_counted(tmp_path: Path) -> None:
    """A watcher hears of events once they are durable, and never of those that failed."""
    heard: list[str] = []
    faulty = FaultyDisk()
    writer = WatchedLog(tmp_path, clock=lambda: 0.0, new_id=lambda: "w", disk=faulty.disk)
    writer.watcher = lambda tenant, events: heard.extend(one.event_id for one in events)
    writer.append("demo", [done("kept", "r", "a")]).durable.result(20)
    faulty.room = 0
    with pytest.raises(Exception, match="disk is full"):
        writer.append("demo", [done("lost", "r", "a")]).durable.result(20)
    writer.close()
    assert heard == ["kept"]


def test_a_server_counts_what_it_ranked_and_what_was_clicked(tmp_path: Path) -> None:
    """Over gRPC: pages logged by the service, clicks by a client, and both on the metrics page."""
    shelf = store_of(tmp_path)
    feedback = Feedback(examination=(1.0, 0.5, 0.25), wait=True)
    settings = Settings(port=0, metrics_port=0, log=str(tmp_path / "log"), feedback=feedback)
    with running(shelf, settings) as server, channel(server) as opened:
        ask(opened)
        server.log.close()  # type: ignore[union-attr]
        server.lift.close()
        assert server.page is not None
        page = urlopen(f"http://127.0.0.1:{server.page.port}/metrics", timeout=20).read().decode()
        (found,) = server.lift.lifts()
    version = shelf.promotion("demo", "default").version
    labels = f'ranker="default",stage="linear",tenant="demo",version="{version}"'
    assert f"sluice_stage_lift_pages{{{labels}}} 5.0" in page
    assert "evil" not in page
    assert 'what="click on no held page"} 0.0' in page
    assert found[1][1].before > 0


def ask(opened: grpc.Channel) -> None:
    """Five pages, a click on the first item of each, and a page that a caller made up."""
    rank, record = ranking_pb2_grpc.RankingStub(opened), feedback_pb2_grpc.FeedbackStub(opened)
    for number in range(5):
        message = ranking_pb2.RankRequest(tenant="demo", query=ranking_pb2.Query(text="q"), log=True)
        message.candidates.ids.extend("abc")
        answer = rank.Rank(message, timeout=20)
        click = feedback_pb2.Interaction(
            event_id=str(number), request_id=answer.request_id, candidate_id=answer.results[0].id,
            type="CLICK",
        )  # fmt: skip
        record.Record(feedback_pb2.RecordRequest(tenant="demo", interactions=[click]), timeout=20)
    evil = feedback_pb2.Impression(
        event_id="e", request_id="e", ranker="evil", version="evil", fingerprint="f", candidates=["a", "b"],
    )  # fmt: skip
    evil.features.names.append("stage.evil")
    evil.features.data = bytes(8)
    record.Record(feedback_pb2.RecordRequest(tenant="demo", impressions=[evil]), timeout=20)
