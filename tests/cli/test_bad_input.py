"""Bad material on the command line: `sluice train`, `evaluate`, `publish` and `promote` name it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cascade.eventlog.layout import INTERACTIONS
from cascade.eventlog.read import scan
from cascade.eventlog.testing import TENANT, done, shown, write_segment
from cascade.store import DirectoryStore
from cascade.testing import write_tiny_bundle
from cli.main import app
from features.errors import Corrupt, InvalidConfig, InvalidInput, NotFound, SluiceError

CONFIG = """
[[features]]
name = "title"
kind = "bm25"
field = "title"

[[stages]]
kind = "lambdamart"
train = { trees = 3, leaves = 3, min_in_leaf = 1, folds = 2 }
"""
QUERIES = 12


def run(*arguments: object) -> Result:
    """A command; its error is raised."""
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A collection and a cascade that train; the first query has one candidate."""
    documents = [{"id": f"d{n}", "title": f"word{n} thing"} for n in range(2 * QUERIES)]
    queries = [{"_id": f"q{n}", "text": f"word{2 * n} thing"} for n in range(QUERIES)]
    qrels = [f"q{n}\t0\td{2 * n + m}\t{1 - m}" for n in range(QUERIES) for m in range(2 if n else 1)]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)) + "\n")
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)) + "\n")
    (tmp_path / "qrels.tsv").write_text("\n".join(qrels) + "\n")
    (tmp_path / "cascade.toml").write_text(CONFIG)
    return tmp_path


def train(folder: Path) -> Result:
    """Train on the folder as it is now."""
    return run(
        "train", "--collection", folder, "--config", folder / "cascade.toml", "--store", folder / "store",
        "--tenant", "shop", "--promote",
    )  # fmt: skip


def appended(name: str, line: str) -> Callable[[Path], None]:
    """A file gets one line more."""

    def change(folder: Path) -> None:
        with (folder / name).open("a") as file:
            file.write(line + "\n")

    return change


def declared(old: str, new: str) -> Callable[[Path], None]:
    """The cascade says something else."""

    def change(folder: Path) -> None:
        (folder / "cascade.toml").write_text(CONFIG.replace(old, new))

    return change


BAD: dict[str, tuple[Callable[[Path], None], type[SluiceError], str]] = {
    "a bad line": (appended("qrels.tsv", "q1 d1"), InvalidInput, r"qrels\.tsv:24: not a judgment: 'q1 d1'"),
    "a label above 31": (
        appended("qrels.tsv", "q1\t0\td9\t32"),
        InvalidInput,
        r"qrels\.tsv:24: the grade 32",
    ),
    "a contradiction": (appended("qrels.tsv", "q1\t0\td2\t3"), InvalidInput, "grade 3 here and 1 at .*:2;"),
    "an empty query": (appended("queries.jsonl", '{"_id": "q"}'), InvalidInput, r"queries\.jsonl:13: "),
    "no JSON": (appended("corpus.jsonl", "{"), InvalidInput, r"corpus\.jsonl:25: not JSON"),
    "a stage kind that is none": (
        declared('kind = "lambdamart"', 'kind = "lambdamort"'),
        InvalidConfig,
        r"^\$\.stages\[0\].*did you mean 'lambdamart'",
    ),
    "a feature kind that is none": (
        declared('kind = "bm25"', 'kind = "bm52"'),
        InvalidConfig,
        r"^\$\.features\[0\].*bm25",
    ),
    "a typo": (declared("field =", "feild ="), InvalidConfig, r"^\$\.features\[0\].*feild"),
    "a typo in a table": (declared("leaves", "leafs"), InvalidConfig, r"^\$\.stages\[0\]\.train.*leafs"),
    "no judgments": (lambda folder: (folder / "qrels.tsv").unlink(), NotFound, "qrels"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_trained_from(folder: Path, case: str) -> None:
    """It is named by file and line, or by the key's path, and nothing is published."""
    change, error, message = BAD[case]
    change(folder)
    with pytest.raises(error, match=message):
        train(folder)
    assert not (folder / "store" / "shop").exists()


def test_judgments_of_unknown_documents_are_told(folder: Path) -> None:
    """They are left out and counted; the rest, a query with one candidate among it, is trained on."""
    appended("qrels.tsv", "q1\t0\tnowhere\t1\nnobody\t0\td1\t1")(folder)
    result = train(folder)
    assert result.exit_code == 0
    notes = [line for line in result.output.splitlines() if line.startswith("note: ")]
    assert any("unknown document" in line for line in notes), result.output
    assert any("unknown quer" in line for line in notes), result.output
    assert DirectoryStore(folder / "store").promotion("shop", "default").version


@pytest.mark.parametrize("command", ["publish", "evaluate", "promote"])
def test_a_truncated_bundle(folder: Path, command: str) -> None:
    """It is neither published, evaluated nor promoted, and the file that ends too early is named."""
    bundle, store = write_tiny_bundle(folder / "bundle"), folder / "store"
    version = DirectoryStore(store).publish("shop", "default", bundle)
    harmed = bundle if command == "publish" else DirectoryStore(store).path("shop", "default", version)
    (harmed / "golden.json").write_bytes((harmed / "golden.json").read_bytes()[:50])
    where = ("--store", store, "--tenant", "shop")
    if command == "promote":
        result = run("promote", *where, "--version", version)
        assert (result.exit_code, "golden.json" in result.output) == (1, True)
        assert not DirectoryStore(store).promotion("shop", "default").version
        return
    what = (bundle,) if command == "publish" else ("--collection", folder, "--version", version)
    with pytest.raises(Corrupt, match=r"golden\.json"):
        run(command, *what, *where)


FULL_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
sys.argv[0] = "sluice"
from cli.main import main
main()
"""


def without_room(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """A command in a process of its own, in which no file may grow beyond 100 bytes."""
    command = [sys.executable, "-c", FULL_DISK, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_disk_that_is_full(folder: Path) -> None:
    """One sentence and exit status 1, nothing half-written; with room again the same commands succeed."""
    where = ("--store", folder / "store", "--tenant", "shop")
    publish = ("publish", write_tiny_bundle(folder / "bundle"), *where)
    write_segment(folder / "log", [shown("r", "a", "b"), *(done(f"{n}", "r", "a") for n in range(50))])
    compact = ("log", "compact", "--log", folder / "log")
    for command in (publish, compact):
        failed = without_room(*command)
        assert failed.returncode == 1, failed.stderr
        assert "File too large" in failed.stderr
        assert len(failed.stderr.strip().splitlines()) == 1, failed.stderr
        assert run(*command).exit_code == 0
    assert DirectoryStore(folder / "store").versions("shop", "default")
    assert sum(map(len, scan(folder / "log" / TENANT, INTERACTIONS))) == 50
