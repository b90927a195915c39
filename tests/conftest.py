"""Options of the whole suite."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make golden` passes it; the diff is read before it is committed."""
    parser.addoption("--update-golden", action="store_true", help="write golden files instead of comparing")
