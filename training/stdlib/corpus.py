"""The demo collection "Python standard library", in the layout of BEIR.

Documents are read from the running interpreter and never shipped; queries and graded
judgments ship in `data/`. README.md tells how they were made.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, TypedDict

HERE = Path(__file__).resolve().parent
DATA = HERE / "data"
SPLITS = ("train", "dev")
QRELS_HEADER = "query-id\tcorpus-id\tscore"

# PEP 594 and the removals of 3.12 and 3.13: their docstrings seldom say so themselves.
DEPRECATED_MODULES = frozenset(
    str.split(
        "aifc asynchat asyncore audioop cgi cgitb chunk crypt imghdr imp mailcap nis nntplib "
        "ossaudiodev pipes smtpd sndhdr spwd sunau telnetlib uu xdrlib"
    )
)
# Deprecated by the reference manual, silent about it in the docstring.
DEPRECATED_NAMES = frozenset(
    str.split(
        "collections.abc.ByteString datetime.datetime.utcfromtimestamp datetime.datetime.utcnow "
        "importlib.find_loader locale.format locale.getdefaultlocale locale.resetlocale "
        "logging.warn pathlib.Path.link_to pkgutil.find_loader pkgutil.get_loader "
        "ssl.match_hostname ssl.wrap_socket tempfile.mktemp typing.ByteString "
        "unittest.findTestCases unittest.makeSuite"
    )
)
# The docstring says it of the object: as its own sentence, in the summary, or as "this ...".
SAYS_DEPRECATED = re.compile(
    r"^\W*deprecated\b|\A[^\n]*\bdeprecated\b|"
    r"\bthis (?:\w+ )?(?:is|has been|was) (?:now )?deprecated",
    re.IGNORECASE | re.MULTILINE,
)

Kind = Literal["module", "class", "function", "method", "exception"]


class Record(TypedDict):
    """What `walk.py` prints of one public name, as one JSON line."""

    _id: str
    kind: Kind
    module: str
    signature: str
    text: str


class Document(TypedDict):
    """One document of the collection.

    `_id` and `title` are the qualified name as a user imports it, without `builtins.`.
    `text` is the docstring after `inspect.cleandoc`; `signature` may be empty. `kind` counts
    properties as methods. `module` is importable, `package` its first part. `length` counts
    words of `text`, `depth` dots of `_id`; `deprecated` is 0 or 1.
    """

    _id: str
    title: str
    signature: str
    text: str
    kind: Kind
    module: str
    package: str
    length: int
    deprecated: int
    depth: int


def documents() -> list[Document]:
    """Some 5,600 documents of this interpreter's standard library, in order of `_id`.

    Source: docstrings of public modules, classes, functions and methods, read in a child
    interpreter without site packages, so that neither imports nor patches leak either way.
    Each call starts that child, about a second; the result depends on the Python version
    and on the platform alone.
    """
    return [document(record) for record in records()]


def records() -> Iterator[Record]:
    """The lines of the walk; raises `CalledProcessError` when the child fails."""
    command = [sys.executable, "-I", "-S", "-W", "ignore", str(HERE / "walk.py")]
    walk = subprocess.run(  # noqa: S603 - this interpreter, this folder's script
        command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, encoding="ascii"
    )
    return (json.loads(line) for line in walk.stdout.splitlines())


def document(record: Record) -> Document:
    """The record with the features that follow from it."""
    name, text = record["_id"], record["text"]
    return {
        "_id": name,
        "title": name,
        "signature": record["signature"],
        "text": text,
        "kind": record["kind"],
        "module": record["module"],
        "package": record["module"].split(".", 1)[0],
        "length": len(text.split()),
        "deprecated": int(is_deprecated(record)),
        "depth": name.count("."),
    }


def is_deprecated(record: Record) -> bool:
    """Whether the manual or the docstring tells readers to stop using it."""
    name = record["_id"]
    if name.split(".", 1)[0] in DEPRECATED_MODULES or name in DEPRECATED_NAMES:
        return True
    spoken = record["kind"] not in ("module", "exception")  # those speak of something else
    return spoken and bool(SAYS_DEPRECATED.search(record["text"]))


def write(directory: Path) -> Path:
    """Write the collection into `directory`, made where missing, and return it.

    Shape: `corpus.jsonl.gz` with one document a line, and for each split `queries.*.jsonl`
    with `_id` and `text` and `qrels.*.tsv` with a header and grades 0 to 3. Judgments of
    documents that this Python version lacks are left out; a metric would count them as
    relevant documents which no system can retrieve.
    """
    directory.mkdir(parents=True, exist_ok=True)
    corpus = documents()
    write_corpus(directory / "corpus.jsonl.gz", corpus)
    known = frozenset(found["_id"] for found in corpus)
    for split in SPLITS:
        queries, qrels = f"queries.{split}.jsonl", f"qrels.{split}.tsv"
        shutil.copyfile(DATA / queries, directory / queries)
        write_qrels(DATA / qrels, directory / qrels, known)
    return directory


def write_corpus(path: Path, corpus: Iterable[Document]) -> None:
    """Gzip without name and time, for equal collections to be equal files."""
    lines = "".join(json.dumps(found, ensure_ascii=False) + "\n" for found in corpus)
    path.write_bytes(gzip.compress(lines.encode("utf-8"), compresslevel=6, mtime=0))


def write_qrels(source: Path, target: Path, known: frozenset[str]) -> None:
    """Copy the judgments whose document exists in this version."""
    lines = source.read_text(encoding="utf-8").splitlines()[1:]
    kept = [line for line in lines if line.split("\t")[1] in known]
    text = "\n".join([QRELS_HEADER, *kept]) + "\n"
    target.write_bytes(text.encode("utf-8"))
