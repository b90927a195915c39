"""The committed protobuf code is what the compiler makes of the committed .proto files."""

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support import require

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path.relative_to(ROOT) for path in (ROOT / "proto/sluice/v1").glob("*.proto"))
OUTPUTS = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")


@pytest.fixture(scope="module")
def regenerated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the compiler wrote to, by the command of the Makefile."""
    require("grpc_tools")
    made = tmp_path_factory.mktemp("generated")
    command = [sys.executable, "-m", "grpc_tools.protoc", "-Iproto"]
    command += [f"--{kind}={made}" for kind in ("python_out", "pyi_out", "grpc_python_out")]
    subprocess.run([*command, *map(str, SOURCES)], cwd=ROOT, check=True)
    return made


def without_versions(text: str) -> str:
    """Generated code without the versions of the compiler, which may be newer here than where it was made."""
    text = re.sub(r"# Protobuf Python Version: .*|GRPC_GENERATED_VERSION = .*", "", text)
    return re.sub(r"(Domain\.PUBLIC,)\s+\d+,\s+\d+,\s+\d+,", r"\1", text)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
@pytest.mark.parametrize("output", OUTPUTS)
def test_generated_code_is_current(regenerated: Path, source: Path, output: str) -> None:
    """Nobody changed a .proto without `make proto`, or generated code by hand."""
    name = source.with_name(source.stem + output)
    fresh = regenerated / name.relative_to("proto")
    assert without_versions((ROOT / name).read_text()) == without_versions(fresh.read_text())


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_every_field_is_commented(source: Path) -> None:
    """Every message, field, service and method of the wire says what it means in the line above it."""
    lines = [line.strip() for line in (ROOT / source).read_text().splitlines()]
    block = r"(service|message|enum|rpc|oneof) "
    field = r"(optional |repeated |map<.*> )?[\w.<>, ]+ \w+ = \d+;"
    declares = re.compile(rf"^({block}|{field})")
    bare = [line for before, line in pairwise(lines) if declares.match(line) and before[:2] != "//"]
    assert bare == []
