"""Recording with the client: typed events or dicts, ids before the first attempt, for threads and asyncio."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cascade.eventlog.layout import IMPRESSIONS, INTERACTIONS
from cascade.eventlog.read import scan
from cascade.eventlog.testing import matrix
from serving.server import Server
from serving.settings import Settings
from serving.testing import ranker, running, target
from sluice import (
    AsyncClient,
    Client,
    Impression,
    Interaction,
    InvalidEvent,
    Recorded,
    UnknownName,
)
from sluice.feedback import to_record

NOW = 1_790_000_000.25


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log")


@pytest.fixture(scope="module")
def server(log: Path) -> Iterator[Server]:
    """A server with an event log."""
    settings = Settings(port=0, log=str(log), poll_s=60.0)
    with running(ranker(), settings, clock=lambda: NOW) as started:
        yield started


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """A client with time to spare, whose clock stands still."""
    with Client(target(server), "demo", timeout_s=20.0, now=lambda: NOW) as made:
        yield made


def stored(log: Path, kind: str, request_id: str) -> list[dict[str, Any]]:
    rows = [row for table in scan(log / "demo", kind) for row in table.to_pylist()]
    return [row for row in rows if row["request_id"] == request_id]


def test_record_typed_events(client: Client, log: Path) -> None:
    """A page and what was done with it, as sent."""
    shown = Impression(
        request_id="typed",
        candidates=["a", "b"],
        query="shoes",
        values={"device": "phone"},
        user_id="u",
        scores=[2.0, float("nan")],
        features=[[1.5, 2.0], [float("nan"), 3.0]],
        feature_names=["f", "g"],
        fingerprint="x",
        time=datetime(2026, 9, 1, tzinfo=UTC),
    )
    done = Interaction(request_id="typed", candidate_id="b", type="DWELL", dwell_s=3.0, dwell_by="server")
    assert client.record([shown, done]) == Recorded(2, 0)
    (page,) = stored(log, IMPRESSIONS, "typed")
    assert (page["query"], page["user"], page["values"]) == ("shoes", "u", '{"device":"phone"}')
    assert matrix(page["features"]) == matrix([1.5, 2.0, np.nan, 3.0])
    assert page["time"] == datetime(2026, 9, 1, tzinfo=UTC)
    (what,) = stored(log, INTERACTIONS, "typed")
    assert (what["dwell_s"], what["dwell_by"], what["time"].timestamp()) == (3.0, "server", NOW)


def test_record_dicts(client: Client, log: Path) -> None:
    """A dict with candidates is an impression, any other an interaction."""
    events = [
        {"request_id": "dicts", "candidates": ["a"]},
        {"request_id": "dicts", "candidate_id": "a", "value": 2, "time": 1_780_000_000},
    ]
    assert client.record(events).accepted == 2
    (what,) = stored(log, INTERACTIONS, "dicts")
    assert (what["type"], what["value"], what["time"].timestamp()) == ("CLICK", 2.0, 1_780_000_000)


def test_an_event_has_its_id_before_it_is_sent() -> None:
    """The message is made once, so that a second attempt sends the same events; no two ids are alike."""
    click = {"request_id": "r", "candidate_id": "a"}
    message = to_record([click, click, {**click, "event_id": "mine"}], "demo", NOW)
    ids = [each.event_id for each in message.interactions]
    assert len(set(ids)) == 3
    assert ids[2] == "mine"


def test_repetitions_and_rejections_are_told(client: Client) -> None:
    """What was there before, and what cannot be right, with the field and the reason."""
    click = Interaction(request_id="told", candidate_id="a", event_id="1")
    wrong = Interaction(request_id="told", candidate_id="a", event_id="2", dwell_s=-1.0)
    client.record([click])
    answer = client.record([click, wrong])
    assert (answer.accepted, answer.duplicate) == (0, 1)
    (rejected,) = answer.rejected
    assert (rejected.path, rejected.event_id) == ("interactions[1].dwell_s", "2")


@pytest.mark.parametrize(
    "event",
    [
        {"request_id": "r", "candidate": "a"},
        {"request_id": "r", "candidate_id": "a", "dwell_s": 1.0, "dwell_by": "somebody"},
        {"request_id": "r", "candidate_id": "a", "time": "yesterday"},
        Impression(request_id="r", candidates=["a"], features=["x"], feature_names=["f"]),
        {"request_id": "r", "candidate_id": "\ud800"},
        {"request_id": "r", "candidate_id": "a", "time": 1e300},
        {"request_id": "r", "candidate_id": "a", "position": 10**12},
        {"request_id": "r", "candidate_id": "a", "value": 10**400},
        "click",
    ],
)
def test_what_cannot_become_a_message_is_not_sent(event: Any) -> None:
    """A misspelt key, an unknown measurer, a time of another kind: an error that names the event."""
    with pytest.raises(InvalidEvent, match=r"^events\[1\]: "):
        to_record([{"request_id": "r", "candidate_id": "a"}, event], "demo", NOW)


def test_an_unknown_tenant(server: Server) -> None:
    """The error of the server as the client's class for it."""
    with Client(target(server), "nobody", timeout_s=20.0) as client, pytest.raises(UnknownName):
        client.record([{"request_id": "r", "candidate_id": "a"}])


def test_record_stream(client: Client) -> None:
    """Batches on one call, answered in order."""
    batches = (
        [{"request_id": "stream", "candidate_id": "a", "event_id": f"{n}-{row}"} for row in range(n)]
        for n in range(4)
    )
    assert [answer.accepted for answer in client.record_stream(batches)] == [0, 1, 2, 3]


def test_asyncio(server: Server) -> None:
    """The same for asyncio."""

    async def go() -> tuple[Recorded, list[Recorded]]:
        async with AsyncClient(target(server), "demo", timeout_s=20.0, now=lambda: NOW) as client:
            one = await client.record([{"request_id": "aio", "candidate_id": "a"}])
            batches = [[{"request_id": "aio", "candidate_id": "b"}], []]
            return one, [answer async for answer in client.record_stream(batches)]

    one, many = asyncio.run(go())
    assert (one.accepted, [answer.accepted for answer in many]) == (1, [1, 0])


def test_a_ranking_then_a_click(server: Server, log: Path) -> None:
    """The README's circle: rank with `log`, click on what was shown, and both are in the log."""
    with Client(target(server), "demo", timeout_s=20.0, now=lambda: NOW) as client:
        ranking = client.rank("q", [{"id": "x", "price": 1.0}], log=True, request_id="circle")
        assert client.record([{"request_id": ranking.request_id, "candidate_id": "x"}]).accepted == 1
    assert len(stored(log, INTERACTIONS, "circle")) == 1
