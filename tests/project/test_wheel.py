"""What an installation gets."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support import require

ROOT = Path(__file__).parents[2]
TOP_LEVEL = {"features", "cascade", "training", "serving", "cli", "sluice"}
NEEDED = [
    "sluice/v1/ranking_pb2.py",
    "sluice/py.typed",
    "features/embedded/encoder.npz",
    "cascade/embedded/model.onnx",
    "cascade/embedded/tokenizer.json",
    "cascade/embedded/model.json",
    "cascade/embedded/sentences/model.onnx",
    "cascade/embedded/sentences/tokenizer.json",
    "cascade/embedded/sentences/model.json",
    "training/stdlib/cascade.toml",
    "training/stdlib/data/queries.train.jsonl",
    "training/stdlib/data/qrels.dev.tsv",
]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    out = tmp_path_factory.mktemp("wheel")
    backend = f"from hatchling.build import build_wheel; build_wheel({str(out)!r})"
    require("hatchling")
    subprocess.run([sys.executable, "-c", backend], cwd=ROOT, check=True, capture_output=True)
    return zipfile.ZipFile(next(out.glob("*.whl"))).namelist()


def test_the_wheel_holds_exactly_our_packages(names: list[str]) -> None:
    """The generic names that the distribution takes are these six and no others."""
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == TOP_LEVEL


def test_the_wheel_holds_data_and_weights(names: list[str]) -> None:
    """The demo and the embedded ranker work from an installed wheel."""
    assert [name for name in NEEDED if name not in names] == []


def test_the_wheel_holds_nothing_of_the_workshop(names: list[str]) -> None:
    """No tests, caches or notebooks travel."""
    assert [name for name in names if "test_" in name or "__pycache__" in name] == []
