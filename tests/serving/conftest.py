"""A server that a module's tests share, and requests to send to it."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
import structlog

from features.columns import Input, Kind
from serving.server import Server
from serving.settings import Limits, Settings
from serving.testing import ByColumn, channel, ranker, running
from sluice.v1 import ranking_pb2 as pb
from sluice.v1 import ranking_pb2_grpc as rpc

ALSO = (
    Input("title", Kind.TEXT),
    Input("tags", Kind.KEYWORD),
    Input("released", Kind.TIMESTAMP),
    Input("meaning", Kind.VECTOR),
)


@pytest.fixture(scope="module", autouse=True)
def logs() -> Iterator[list[Any]]:
    """What a module's tests make the server log; it does not reach the terminal."""
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with one ranker that scores by `price` and reads a column of every other kind."""
    settings = Settings(port=0, poll_s=60.0, reserve_ms=0.0, limits=Limits(vector_dimension=8, top_k=500))
    with running(ranker(ByColumn(also=ALSO)), settings, clock=lambda: 1_000.0) as started:
        yield started


@pytest.fixture(scope="module")
def opened(server: Server) -> Iterator[grpc.Channel]:
    """A channel to the shared server."""
    with channel(server) as made:
        yield made


@pytest.fixture(scope="module")
def stub(opened: grpc.Channel) -> rpc.RankingStub:
    """A stub of the shared server."""
    return rpc.RankingStub(opened)


@pytest.fixture
def ask() -> Callable[..., pb.RankRequest]:
    """Makes requests with a price a candidate; ids are `0`, `1`, … unless given."""

    def make(prices: list[float], ids: list[str] | None = None, **fields: Any) -> pb.RankRequest:
        message = pb.RankRequest(**{"tenant": "demo", "query": pb.Query(text="a query"), **fields})
        message.candidates.ids.extend(ids or [str(row) for row in range(len(prices))])
        message.candidates.columns.add(name="price").number.values.extend(prices)
        return message

    return make
