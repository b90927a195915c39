"""`sluice rank`: files in, tables out."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from grpc import StatusCode
from typer.testing import CliRunner, Result

from cli import rank
from cli.rank import read_candidates, title, way_out
from features.errors import InvalidInput
from serving.credentials.reach import is_loopback
from serving.server import Server
from serving.testing import target
from sluice.errors import from_status

ROWS = [
    {"_id": "a", "title": "Red  shoes", "price": 1, "stock": 2, "nested": {"x": 1}},
    {"_id": "b", "title": "Blue shoes", "price": 2, "stock": 1},
]

Ask = Callable[..., Result]


@pytest.fixture
def ask(server: Server, tmp_path: Path) -> Ask:
    """Runs the command on candidates."""
    app = typer.Typer()
    app.command()(rank.command)

    def run(rows: list[dict[str, Any]], *flags: str) -> Result:
        file = tmp_path / "rows.jsonl"
        file.write_text("\n".join(map(json.dumps, rows)))
        where = ["--target", target(server), "--tenant", "demo", "--query", "shoes", "--timeout-ms", "20000"]
        return CliRunner().invoke(app, [*where, "--candidates", str(file), *flags], env={"COLUMNS": "200"})

    return run


def test_a_table_for_people(ask: Ask) -> None:
    """Rank, id, title, score, what placed it; the stages; a warning for the column that nobody reads."""
    result = ask(ROWS)
    assert result.exit_code == 0
    assert "the ranker reads no column 'title'" in result.output
    assert result.output.index("Red shoes") < result.output.index("Blue shoes")
    assert "second" in result.output
    assert "RAN" in result.output


def test_json_for_machines(ask: Ask) -> None:
    """The whole answer as JSON, explained where that was asked for."""
    answer = json.loads(ask(ROWS, "--json", "--explain", "--top-k", "1").stdout)
    assert [(each["id"], each["score"]) for each in answer["results"]] == [("a", 2.0)]
    assert answer["results"][0]["explanation"]["features"] == []


def test_text_that_is_no_unicode(ask: Ask) -> None:
    """Bytes on the command line or escapes in a file that no UTF-8 stands for are one sentence, status 2."""
    for rows, flags in ((ROWS, ["--query", "\udcff"]), ([{"id": "a", "title": "\ud800"}], [])):
        result = ask(rows, *flags)
        assert isinstance(result.exception, InvalidInput)
        assert "is no Unicode text" in str(result.exception)


def test_an_empty_file_is_an_empty_ranking(ask: Ask) -> None:
    """No candidates, no results, no error."""
    assert json.loads(ask([], "--json").stdout)["results"] == []


def test_too_many_candidates(ask: Ask) -> None:
    """A file beyond the server's limit: what the limit is, how many there were, and the way out."""
    rows = [{"id": str(row), "price": row} for row in range(10_001)]
    result = ask(rows)
    assert result.exit_code == 2
    assert "more than the 10000 allowed" in result.output
    assert "--first N" in result.output
    assert ask(rows, "--first", "10").exit_code == 0


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    """Exit status 1 and one sentence."""
    app = typer.Typer()
    app.command()(rank.command)
    file = tmp_path / "rows.json"
    file.write_text("[]")
    flags = ["--target", "127.0.0.1:1", "--tenant", "demo", "--query", "q", "--candidates", str(file)]
    result = CliRunner().invoke(app, [*flags, "--timeout-ms", "300"])
    assert result.exit_code == 1
    assert "UNAVAILABLE" in result.output or "DEADLINE_EXCEEDED" in result.output


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (StatusCode.UNAVAILABLE, "is `sluice serve` running there?"),
        (StatusCode.UNAUTHENTICATED, "$SLUICE_TOKEN"),
        (StatusCode.PERMISSION_DENIED, ""),
    ],
)
def test_the_way_out(code: StatusCode, told: str) -> None:
    """What the wire cannot know, the command line tells: to start a server, and where the token goes."""
    found = way_out(from_status(code, "no"), 3)
    assert told in found
    assert bool(told) == bool(found)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.json"])
def test_formats(tmp_path: Path, name: str) -> None:
    """JSON lines, gzipped or not, and a JSON array are the same candidates; objects within are left out."""
    text = json.dumps(ROWS, indent=1) if name == "rows.json" else "\n".join(map(json.dumps, ROWS)) + "\n\n"
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    rows = read_candidates(tmp_path / name)
    assert [row["id"] for row in rows] == ["a", "b"]
    assert set(rows[0]) == {"id", "title", "price", "stock"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a"}\n{"id": ', "rows.jsonl:2: not JSON"),
        ('{"id": "a"}\n{"x": 1}', "rows.jsonl:2: has neither `id` nor `_id`"),
        ("[1]", "rows.jsonl:1: is no JSON object"),
        ("[1", "rows.jsonl:1: not JSON"),
        ("[" * 200_000, "rows.jsonl:1: not JSON"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    """What is wrong with a file, and in which line."""
    file = tmp_path / "rows.jsonl"
    file.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        read_candidates(file)
    assert message in str(caught.value)


@pytest.mark.parametrize("data", [b"\xff\xfe", b""])
def test_files_that_cannot_be_read(tmp_path: Path, data: bytes) -> None:
    """Bytes that are no text, no gzip, or no file at all are one sentence."""
    file = tmp_path / "rows.jsonl.gz"
    if data:
        file.write_bytes(data)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_candidates(file)


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({"id": "a", "body": "B", "title": "T"}, "T"),
        ({"id": "a", "odd": "one\ntwo"}, "one two"),
        ({"id": "a", "x": 1}, ""),
        ({"id": "a", "text": "x" * 99}, "x" * 59 + "…"),
    ],
)
def test_titles(row: dict[str, Any], shown: str) -> None:
    """A candidate is shown by the field that people know it by, on one line."""
    assert title(row) == shown


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("example.org", False)],
)
def test_what_other_machines_can_reach(host: str, loopback: bool) -> None:
    """`sluice serve` warns about every host that is not this machine's own."""
    assert is_loopback(host) is loopback
