"""A collection on disk in BEIR's layout: documents with any fields, queries, graded judgments.

The folder holds `corpus.jsonl[.gz]`, `queries[.NAME].jsonl[.gz]` and `qrels[.NAME].tsv[.gz]` (also `.csv` and
TREC's `.txt`). A document's id is `_id` or `id`; its other fields are strings, lists of strings, numbers,
dates (ISO 8601) or booleans. A query has `_id`, `text`, and any named values.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from features.batch import Query
from features.columns import Column, Input
from features.errors import InvalidInput, NotFound
from training.documents import Documents
from training.files import find
from training.judgments import Grades, read_grades
from training.records import read_documents, read_queries


@dataclass(frozen=True, eq=False)
class Collection:
    """Documents, queries and judgments that fit together.

    Attributes:
        documents: the corpus as columns.
        queries: id → query, in the file's order; only those with at least one judgment of a known document.
        grades: query id → document id → grade, known queries and documents alone.
        notes: what a person should know, such as judgments that name unknown documents.
        files: the files that were read, by role.
        part: which part of the files it is; "" = all of them.
    """

    documents: Documents
    queries: Mapping[str, Query]
    grades: Grades
    notes: tuple[str, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    part: str = ""

    @property
    def name(self) -> str:
        """The folder's name."""
        return next((path.resolve().parent.name for path in self.files.values()), "")

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the names and bytes of the files that were read, and the part's name."""
        digest = hashlib.sha256(self.part.encode())
        for role, path in sorted(self.files.items()):
            digest.update(f"{role}:{path.name}:".encode())
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def columns(self, inputs: Sequence[Input]) -> dict[str, Column]:
        """The corpus columns that are read, a row a document."""
        return {read.name: self.documents.column(read.name, read.kind) for read in inputs}


def read_collection(folder: Path, name: str = "") -> Collection:
    """The collection of a folder with the queries and judgments of `name` (the unnamed ones for "").

    Raises:
        NotFound: naming the files there are, where one is missing.
        InvalidInput: naming `file:line` for what cannot be right.
    """
    corpus = need(folder, "corpus", "", ("jsonl",))
    queries_path, query_notes = named(folder, "queries", name, ("jsonl",))
    qrels_path, qrels_notes = named(folder, "qrels", name, ("tsv", "csv", "txt"))
    documents = read_documents(corpus)
    queries = read_queries(queries_path)
    grades, notes = fitting(read_grades(qrels_path), queries, documents, qrels_path)
    judged = {key: query for key, query in queries.items() if key in grades}
    if len(judged) < len(queries):
        notes = (*notes, f"{len(queries) - len(judged)} of {len(queries)} queries have no judgment; left out")
    files = {"corpus": corpus, "queries": queries_path, "qrels": qrels_path}
    return Collection(documents, judged, grades, (*query_notes, *qrels_notes, *notes), files)


def need(folder: Path, role: str, name: str, endings: Sequence[str]) -> Path:
    """The file of a role and a name.

    Raises:
        NotFound: naming the files of that role there are, and the option that would choose one of them.
    """
    if not folder.is_dir():
        raise NotFound("no such folder", path=str(folder))
    stem = f"{role}.{name}" if name else role
    for ending in endings:
        path = find(folder, stem, ending)
        if path:
            return path
    there = sorted(path.name for path in folder.glob(f"{role}*"))
    names = sorted({other for other in map(name_of, there) if other})
    way_out = f"; choose with --queries {'|'.join(names)}" if names and role != "corpus" else ""
    listed = f"there are {', '.join(there)}" if there else f"there is no {role}* file at all"
    raise NotFound(f"no {stem}.{endings[0]}[.gz]; {listed}{way_out}", path=str(folder))


def named(folder: Path, role: str, name: str, endings: Sequence[str]) -> tuple[Path, tuple[str, ...]]:
    """The file of a role, or, where no name was asked for, the only one there is, with a note of it."""
    try:
        return need(folder, role, name, endings), ()
    except NotFound:
        only = [path for path in sorted(folder.glob(f"{role}.*")) if path.name.split(".")[-1] != "md"]
        if name or len(only) != 1:
            raise
        return only[0], (f"no unnamed {role} file; took {only[0].name}, the only one there is",)


def name_of(file: str) -> str:
    """The NAME in `queries.NAME.jsonl.gz`, or ""."""
    middle = file.removesuffix(".gz").split(".")[1:-1]
    return ".".join(middle)


def fitting(
    grades: Grades, queries: Mapping[str, Query], documents: Documents, path: Path
) -> tuple[Grades, tuple[str, ...]]:
    """The judgments of known queries and documents, with a note of how many were left out.

    Raises:
        InvalidInput: if none is left.
    """
    lost_queries = [query for query in grades if query not in queries]
    kept: dict[str, dict[str, float]] = {}
    lost = 0
    for query in (query for query in grades if query in queries):
        known = {document: grade for document, grade in grades[query].items() if document in documents.ids}
        lost += len(grades[query]) - len(known)
        if known:
            kept[query] = known
    if not kept:
        raise InvalidInput("no judgment names a known query and a known document", path=str(path))
    notes = []
    if lost_queries:
        example = f"such as {lost_queries[0]!r}"
        notes.append(f"{path.name}: judgments of {len(lost_queries)} unknown queries ({example}); left out")
    if lost:
        notes.append(f"{path.name}: {lost} judgments name unknown documents; left out")
    return kept, tuple(notes)
