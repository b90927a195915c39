"""Import directions, and what starting up may not drag in."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import require

ROOT = Path(__file__).parents[2]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_import_directions_hold() -> None:
    """features <- cascade <- training and serving <- cli, and only the edge speaks gRPC."""
    require("importlinter")
    program = "import sys; sys.path[:0] = ['.', 'proto']; from importlinter.cli import lint_imports; "
    found = run(sys.executable, "-c", program + "sys.exit(lint_imports())")
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("sluice", ["numpy", "lightgbm", "cascade", "features"]),
        ("serving.server", ["torch", "transformers", "onnx", "training"]),
        ("cli.main", ["torch", "lightgbm", "onnxruntime", "scipy", "numba", "pyarrow", "grpc"]),
    ],
)
def test_importing_brings_no_more_than_it_needs(module: str, absent: list[str]) -> None:
    """The client is light, serving needs no torch, and `sluice --help` loads no model library."""
    program = f"import sys, {module}; print([name for name in {absent} if name in sys.modules])"
    found = run(sys.executable, "-c", program)
    assert found.stdout.strip() == "[]", found.stdout + found.stderr
