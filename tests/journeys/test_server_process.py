"""`sluice serve` as operators run it: a process of its own, a real store, signals."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cascade.store import DirectoryStore
from cascade.testing import write_tiny_bundle
from serving.testing import serving_process
from sluice import Client

SLUICE = [sys.executable, "-c", "from cli.main import main; main()"]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with one promoted ranker: `fixed`, then `linear` upside down."""
    shelf = DirectoryStore(tmp_path / "store")
    version = shelf.publish("demo", "default", write_tiny_bundle(tmp_path / "bundle"))
    shelf.promote("demo", "default", version)
    return tmp_path / "store"


def test_serve_rank_and_end(store: Path, tmp_path: Path) -> None:
    """Serve on a free port, rank with the client and with `sluice rank`, then SIGTERM: exit status 0."""
    file = tmp_path / "candidates.jsonl"
    file.write_text("\n".join(json.dumps({"_id": name, "title": f"Document {name}"}) for name in "abc"))
    with serving_process(store) as process:
        with Client(process.target, "demo", timeout_s=30.0) as client:
            assert client.rank("q", [{"id": name} for name in "abc"]).ids == ("b", "c", "a")
        asked = [*SLUICE, "rank", "--target", process.target, "--tenant", "demo", "--query", "q"]
        shown = subprocess.run(
            [*asked, "--candidates", str(file), "--json"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        process.child.send_signal(signal.SIGTERM)
        assert process.child.wait(60) == 0
    answer = json.loads(shown.stdout)
    assert [each["id"] for each in answer["results"]] == ["b", "c", "a"]
    assert any("title" in warning for warning in answer["warnings"])


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    """A misspelt store is one sentence and exit status 2, not an empty server."""
    run = subprocess.run(
        [*SLUICE, "serve", "--store", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    assert "no directory" in run.stderr
    assert "Traceback" not in run.stderr


def test_logs_go_to_standard_error_as_json(store: Path) -> None:
    """Standard output has the ready line alone; every line of standard error is a JSON object."""
    child = subprocess.Popen(
        [*SLUICE, "serve", "--store", str(store), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    first = child.stdout.readline()
    child.send_signal(signal.SIGINT)
    rest, logs = child.communicate(timeout=60)
    assert first.startswith("serving on 127.0.0.1:")
    assert rest == ""
    assert child.returncode == 0
    events = [json.loads(line)["event"] for line in logs.splitlines()]
    assert events == ["serving", "draining", "stopped"]
