"""What a test needs that this machine may lack: skipped with a reason, or failed where all must be there."""

import importlib.util
import os
from pathlib import Path

import pytest

REQUIRE_ALL = "SLUICE_REQUIRE_ALL"
DATA = Path(__file__).parents[2] / "shared" / "data"


def require(module: str) -> None:
    """Skip the test, or the whole file that asks, where a module is not installed."""
    if importlib.util.find_spec(module) is None:
        absent(f"needs the module {module!r} (pip install 'sluice[train,dev]')")


def require_data(name: str) -> Path:
    """The folder of a public data set beside the repository, or skip the test."""
    folder = Path(os.environ.get("SLUICE_DATA", DATA)) / name
    if not folder.is_dir():
        absent(f"needs the data set {name!r} under $SLUICE_DATA")
    return folder


def absent(reason: str) -> None:
    """Skip, or fail where `SLUICE_REQUIRE_ALL` says that everything has to be there."""
    if os.environ.get(REQUIRE_ALL):
        pytest.fail(f"{REQUIRE_ALL} is set, but the test {reason}")
    pytest.skip(reason, allow_module_level=True)
