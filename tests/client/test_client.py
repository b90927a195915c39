"""The client against a real server, for threads and for asyncio."""

import ast
import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest

import sluice
from serving.server import Server
from serving.testing import channel, target
from sluice import AsyncClient, Client, Failure, InvalidRequest, Ranking, Request, UnknownName, Unreachable

DOCS: list[dict[str, Any]] = [
    {"id": "a", "price": 1.0, "stock": 5},
    {"id": "b", "price": 3.0, "stock": 1},
    {"id": "c", "price": 2.0, "stock": None},
]
BEST = ("a", "b", "c")


@pytest.fixture
def client(server: Server) -> Client:
    """A client with time to spare."""
    return Client(target(server), "demo", timeout_s=20.0)


def test_rank(client: Client) -> None:
    """Dicts in, a typed ranking out."""
    with client:
        ranking = client.rank("shoes", DOCS, request_id="mine")
    assert ranking.ids == BEST
    assert (ranking.request_id, ranking.ranker, ranking.version, ranking.final) == (
        "mine",
        "default",
        "v1",
        True,
    )
    assert [(each.index, each.score, each.placed_by) for each in ranking.results] == [
        (0, 5.0, "second"),
        (1, 1.0, "second"),
        (2, 2.0, "first"),
    ]
    assert [(stage.name, stage.status, stage.seen) for stage in ranking.stages] == [
        ("first", "RAN", 3),
        ("second", "RAN", 3),
    ]


def test_options(client: Client) -> None:
    """The other fields of a request are options of the call."""
    ranking = client.rank(
        "shoes", DOCS, top_k=1, explain="features", values={"locale": "en"}, time_budget_s=10.0
    )
    assert ranking.ids == ("a",)
    assert ranking.results[0].explanation is not None
    assert client.rank("shoes", DOCS, explain="none").stages == ()
    with pytest.raises(TypeError, match="colour"):
        client.rank("shoes", DOCS, colour="red")


def test_a_ranking_cannot_be_changed(client: Client) -> None:
    """Answers are frozen values."""
    with pytest.raises(AttributeError):
        client.rank("shoes", DOCS).version = "other"  # type: ignore[misc]


def test_rank_stream(client: Client) -> None:
    """A ranking after every stage."""
    shown = [(ranking.ids, ranking.final) for ranking in client.rank_stream("shoes", DOCS)]
    assert shown == [(("b", "c", "a"), False), (BEST, True)]


def test_rank_many(client: Client) -> None:
    """Answers are joined by request id, whatever their order; a failure stands for its request alone."""
    asked = [Request(query=f"q{row}", candidates=DOCS, request_id=str(row)) for row in range(20)]
    asked.append(Request(query=" ", candidates=DOCS, request_id="bad"))
    answers = {answer.request_id: answer for answer in client.rank_many(asked)}
    assert set(answers) == {request.request_id for request in asked}
    failed = answers.pop("bad")
    assert isinstance(failed, Failure)
    assert isinstance(failed.error, InvalidRequest)
    assert all(isinstance(answer, Ranking) and answer.ids == BEST for answer in answers.values())


def test_requests_without_an_id_get_one(client: Client) -> None:
    """Ids that the client makes are distinct."""
    answers = list(client.rank_many([Request(query="q", candidates=DOCS)] * 3))
    assert len({answer.request_id for answer in answers}) == 3


def test_errors_are_typed(client: Client) -> None:
    """An unknown ranker and a bad field are exceptions of their own, with what the server said."""
    with pytest.raises(UnknownName, match="no ranker 'other'"):
        client.rank("q", DOCS, ranker="other")
    with pytest.raises(InvalidRequest, match=r"query\.text: is empty"):
        list(client.rank_stream("", DOCS))


def test_no_server() -> None:
    """Where nobody listens, the error says so after the last attempt."""
    waits: list[float] = []
    with (
        Client("127.0.0.1:1", "demo", timeout_s=20.0, sleep=waits.append) as client,
        pytest.raises(Unreachable),
    ):
        client.rank("q", DOCS)
    assert len(waits) == 2


def test_a_channel_of_ones_own(server: Server) -> None:
    """Whoever needs credentials or interceptors brings the channel."""
    with channel(server) as opened:
        assert Client("", "demo", timeout_s=20.0, channel=opened).rank("q", DOCS).ids == BEST


def test_async(server: Server) -> None:
    """The client for asyncio answers the same, streams, and runs many at once."""

    async def all_of_it() -> tuple[Any, ...]:
        async with AsyncClient(target(server), "demo", timeout_s=20.0) as client:
            at_once = await asyncio.gather(*(client.rank("q", DOCS) for _ in range(5)))
            stream = [ranking.final async for ranking in client.rank_stream("q", DOCS)]
            many = [Request(query="q" * (row % 2), candidates=DOCS, request_id=str(row)) for row in range(4)]
            answers = {each.request_id: type(each) async for each in client.rank_many(many)}
            with pytest.raises(UnknownName):
                await client.rank("q", DOCS, ranker="other")
            with pytest.raises(InvalidRequest):
                [each async for each in client.rank_stream("", DOCS)]
            return [ranking.ids for ranking in at_once], stream, answers

    ids, stream, answers = asyncio.run(all_of_it())
    assert ids == [BEST] * 5
    assert stream == [False, True]
    assert answers == {"0": Failure, "1": Ranking, "2": Failure, "3": Ranking}


def test_every_call_has_a_timeout(server: Server) -> None:
    """Without a word from the caller, a call ends after the client's default."""
    assert Client(target(server), "demo").timeout_s == AsyncClientDefault.timeout_s == 1.0


class AsyncClientDefault:
    """The default of the other client, read without a loop."""

    timeout_s = sluice.aio.TIMEOUT_S


def test_imports_are_light() -> None:
    """The client needs gRPC, protobuf and the standard library, and nothing of ours behind them."""
    folder = Path(sluice.__file__).parent
    imported = set()
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = (
                [node.module]
                if isinstance(node, ast.ImportFrom)
                else [name.name for name in getattr(node, "names", ())]
            )
            if isinstance(node, ast.Import | ast.ImportFrom):
                imported |= {str(name).partition(".")[0] for name in names}
    assert imported - sys.stdlib_module_names <= {"grpc", "google", "sluice"}


def test_the_public_surface() -> None:
    """What is exported is there, and sorted."""
    assert sluice.__all__ == sorted(sluice.__all__)
    assert all(hasattr(sluice, name) for name in sluice.__all__)
    assert issubclass(sluice.InvalidCandidates, ValueError)
    assert set(sluice.errors.CLASSES.values()) <= {getattr(sluice, name) for name in sluice.__all__}
    assert grpc.StatusCode.OK not in sluice.errors.CLASSES
