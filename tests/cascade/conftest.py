"""Keeps the tracebacks of stages that fail on purpose out of the terminal, where they cost a second each."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """Logs of a module's tests go nowhere."""
    with structlog.testing.capture_logs():
        yield
