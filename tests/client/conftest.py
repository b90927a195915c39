"""A server for clients."""

from collections.abc import Iterator

import pytest
import structlog

from serving.server import Server
from serving.testing import ByColumn, ranker, running


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """What the server logs does not reach the terminal."""
    with structlog.testing.capture_logs():
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that ranks by `price` in two stages."""
    with running(ranker(ByColumn(), ByColumn("stock"))) as started:
        yield started
