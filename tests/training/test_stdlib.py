"""Proofs for the demo collection "Python standard library"."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from training.stdlib import Document, documents, write
from training.stdlib.corpus import DATA, HERE, SPLITS

SENTINELS = str.split(
    "itertools.chain.from_iterable os.path.join collections.abc.Mapping dict.get sorted open "
    "concurrent.futures.ThreadPoolExecutor unittest.mock.patch json.dumps str.split "
    "datetime.datetime.strptime secrets.choice random.choice pathlib.PurePath.suffix "
    "pathlib.Path.exists asyncio.TaskGroup threading.Semaphore OSError os importlib.util.find_spec"
)
PRIVATE = ("builtins.", "posixpath.", "ntpath.", "test.", "idlelib.", "_")
KINDS = {"module", "class", "function", "method", "exception"}

Qrels = dict[str, dict[str, int]]


def read_qrels(path: Path) -> Qrels:
    """Judgments by query id, then by document id."""
    qrels: Qrels = defaultdict(dict)
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    assert header == "query-id\tcorpus-id\tscore"
    for line in lines:
        query, document, grade = line.split("\t")
        assert document not in qrels[query], f"{query} judges {document} twice"
        qrels[query][document] = int(grade)
    return dict(qrels)


def read_queries(path: Path) -> dict[str, str]:
    """Query texts by id."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {row["_id"]: row["text"] for row in rows}


def shipped_qrels() -> Qrels:
    """The judgments of both splits, as they lie in the repository."""
    tables = (read_qrels(DATA / f"qrels.{split}.tsv") for split in SPLITS)
    return {query: grades for table in tables for query, grades in table.items()}


@pytest.fixture(scope="module")
def corpus() -> list[Document]:
    return documents()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("stdlib") / "made" / "here")


def test_ids_are_unique_and_sorted(corpus: list[Document]) -> None:
    """No document appears twice, and the order does not depend on chance."""
    ids = [document["_id"] for document in corpus]
    assert ids == sorted(set(ids))
    assert 3_000 <= len(ids) <= 6_000


@pytest.mark.parametrize("name", SENTINELS)
def test_names_are_those_that_users_import(corpus: list[Document], name: str) -> None:
    """Well-known objects are found under their public name."""
    assert name in {document["_id"] for document in corpus}


def test_private_names_stay_out(corpus: list[Document]) -> None:
    """Neither private modules nor the builtins prefix reach an id."""
    assert [d["_id"] for d in corpus if d["_id"].startswith(PRIVATE)] == []


def test_fields_describe_the_document(corpus: list[Document]) -> None:
    """Derived fields agree with the text and the id, and no text is empty."""
    for document in corpus:
        assert document["text"].strip()
        assert document["kind"] in KINDS
        assert document["title"] == document["_id"]
        assert document["length"] == len(document["text"].split())
        assert document["depth"] == document["_id"].count(".")
        assert document["package"] == document["module"].split(".")[0]


def test_deprecation_is_told_from_its_vocabulary(corpus: list[Document]) -> None:
    """A retired function is marked, the warning class about retirement is not."""
    marks = {document["_id"]: document["deprecated"] for document in corpus}
    assert marks["tempfile.mktemp"] == 1
    assert marks["threading.Condition.notifyAll"] == 1
    assert marks["DeprecationWarning"] == marks["os.path.join"] == 0


def test_the_machine_does_not_leak(corpus: list[Document]) -> None:
    """No environment value, install path or memory address ends up in a document."""
    shown = "\n".join(document["signature"] for document in corpus)
    secrets = {value for value in os.environ.values() if len(value) > 12}
    assert [value for value in (*secrets, sys.prefix, " at 0x") if value in shown] == []


def test_documents_are_deterministic(corpus: list[Document]) -> None:
    """A second interpreter reads the very same documents."""
    assert documents() == corpus


def test_reading_has_no_side_effects() -> None:
    """Reading imports nothing into the caller and prints nothing, warnings included."""
    code = (
        "import sys; import training.stdlib as s; before = set(sys.modules);"
        "s.documents(); assert set(sys.modules) - before <= {'encodings.ascii'}"
    )
    command = [sys.executable, "-W", "always", "-c", code]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_judged_documents_exist_here(corpus: list[Document]) -> None:
    """At least 98 % of the judgments are about documents of this Python version."""
    known = {document["_id"] for document in corpus}
    judged = [document for grades in shipped_qrels().values() for document in grades]
    assert sum(document in known for document in judged) >= 0.98 * len(judged)


def test_every_query_has_an_exact_answer_and_hard_negatives() -> None:
    """Grades lie in 0..3, with a 3, four 0s and 8 to 20 judgments for each query."""
    for query, grades in shipped_qrels().items():
        count = Counter(grades.values())
        assert set(count) <= {0, 1, 2, 3}, query
        assert count[3] >= 1, query
        assert count[0] >= 4, query
        assert 8 <= len(grades) <= 20, query


def test_splits_are_disjoint_and_large_enough() -> None:
    """No query id or text is in both splits, and there are at least 120 queries."""
    train, dev = (read_queries(DATA / f"queries.{split}.jsonl") for split in SPLITS)
    assert not set(train) & set(dev)
    assert len(set(train.values()) | set(dev.values())) == len(train) + len(dev) >= 120


@pytest.mark.parametrize("split", SPLITS)
def test_queries_and_judgments_belong_together(split: str) -> None:
    """Each query is judged, and nothing else is."""
    queries = read_queries(DATA / f"queries.{split}.jsonl")
    assert set(queries) == set(read_qrels(DATA / f"qrels.{split}.tsv"))


def test_written_corpus_reads_back(corpus: list[Document], written: Path) -> None:
    """The gzipped lines are the documents, in order."""
    with gzip.open(written / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        assert [json.loads(line) for line in lines] == corpus


@pytest.mark.parametrize("split", SPLITS)
def test_written_judgments_are_known(corpus: list[Document], written: Path, split: str) -> None:
    """What is written is what ships, less the documents that this version lacks."""
    known = {document["_id"] for document in corpus}
    shipped = read_qrels(DATA / f"qrels.{split}.tsv")
    kept = {q: {d: g for d, g in grades.items() if d in known} for q, grades in shipped.items()}
    assert read_qrels(written / f"qrels.{split}.tsv") == kept
    assert all(3 in grades.values() for grades in kept.values())
    name = f"queries.{split}.jsonl"
    assert (written / name).read_bytes() == (DATA / name).read_bytes()


def test_written_files_are_byte_for_byte_the_same(written: Path, tmp_path: Path) -> None:
    """Writing twice makes equal files, so that a checksum can name the collection."""
    again = write(tmp_path)
    names = sorted(path.name for path in written.iterdir())
    assert names == sorted(path.name for path in again.iterdir())
    assert all((written / name).read_bytes() == (again / name).read_bytes() for name in names)
