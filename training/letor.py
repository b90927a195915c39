"""LETOR and SVMrank lines: `<grade> qid:<query> <feature>:<value> … # <document>`.

A file without `qid` needs LightGBM's sidecar `NAME.query`: the number of rows of each query, a line each.
Read as a collection, every row is a document of its own with one number field a feature, so that a cascade
of `numeric` features trains on it as on any other.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from features.batch import Query
from features.errors import InvalidInput
from training.collection import Collection
from training.documents import Documents
from training.files import at, lines
from training.judgments import parse_grade


@dataclass(frozen=True, slots=True)
class LetorRow:
    """One judged row: `qid` is "" where the line names none, `document` where it has no comment."""

    grade: float
    qid: str
    features: Mapping[str, float]
    document: str


def read_letor(path: Path) -> list[LetorRow]:
    """The rows of a file, each with its query.

    Raises:
        InvalidInput: naming the line that cannot be right, or a sidecar that does not add up.
    """
    rows = [parse_row(line, at(path, number)) for number, line in lines(path) if line.lstrip()[:1] != "#"]
    if not rows:
        raise InvalidInput("holds no rows", path=str(path))
    if not any(row.qid for row in rows):
        return with_groups(rows, path)
    if not all(row.qid for row in rows):
        raise InvalidInput("some lines name a qid and some do not", path=str(path))
    return rows


def parse_row(line: str, where: str) -> LetorRow:
    """One line.

    Raises:
        InvalidInput: if a part of it is no `name:number`, or the grade is out of range.
    """
    values, _, comment = line.partition("#")
    grade, *cells = values.split() or [""]
    qid, features = "", {}
    for name, value in (split(cell, where) for cell in cells):
        if name == "qid":
            qid = value
        elif name in features:
            raise InvalidInput(f"a second value for feature {name!r}", path=where)
        else:
            features[name] = as_float(value, name, where)
    return LetorRow(parse_grade(grade, where), qid, features, document_of(comment))


def split(cell: str, where: str) -> tuple[str, str]:
    """(name, value) of `name:value`."""
    name, colon, value = cell.partition(":")
    if not (name and colon and value):
        raise InvalidInput(f"{cell!r} is not `feature:value`", path=where)
    return name, value


def as_float(value: str, name: str, where: str) -> float:
    """A finite feature value, or NaN for a missing one."""
    try:
        number = float(value)
    except ValueError:
        raise InvalidInput(f"feature {name!r} is {value!r}, not a number", path=where) from None
    if math.isinf(number):
        raise InvalidInput(f"feature {name!r} is infinite", path=where)
    return number


def document_of(comment: str) -> str:
    """The document that a comment names: LETOR's `docid = X …`, or its first word."""
    words = comment.replace("docid =", "").split()
    return words[0] if words else ""


def with_groups(rows: list[LetorRow], path: Path) -> list[LetorRow]:
    """The rows under the queries of the sidecar."""
    sidecar = path.with_name(path.name.removesuffix(".gz") + ".query")
    if not sidecar.is_file():
        raise InvalidInput(f"names no qid, and there is no {sidecar.name} beside it", path=str(path))
    owners = list(owners_of(sidecar))
    if len(owners) != len(rows):
        raise InvalidInput(f"counts {len(owners)} rows where there are {len(rows)}", path=str(sidecar))
    return [
        LetorRow(row.grade, qid, row.features, row.document) for row, qid in zip(rows, owners, strict=True)
    ]


def owners_of(sidecar: Path) -> Iterator[str]:
    """The query of every row, counted out of the sidecar."""
    for position, (number, line) in enumerate(lines(sidecar), start=1):
        if not line.strip().isdigit():
            raise InvalidInput("not a number of rows", path=at(sidecar, number))
        yield from [str(position)] * int(line)


def letor_collection(path: Path) -> Collection:
    """A file as a collection; a feature that a row leaves out is 0, as the format means it.

    Raises:
        InvalidInput: as `read_letor` does.
    """
    rows = read_letor(path)
    names = sorted({name for row in rows for name in row.features}, key=lambda name: (len(name), name))
    ids: dict[str, int] = {}
    queries: dict[str, Query] = {}
    grades: dict[str, dict[str, float]] = {}
    for position, row in enumerate(rows):
        document = f"{row.qid}/{row.document or position}"
        if document in ids:
            raise InvalidInput(f"query {row.qid!r} names document {row.document!r} twice", path=str(path))
        ids[document] = position
        queries.setdefault(row.qid, Query(row.qid, {}, {}, row.qid))
        grades.setdefault(row.qid, {})[document] = row.grade
    values = [{name: row.features.get(name, 0.0) for name in names} for row in rows]
    return Collection(Documents(ids, values), queries, grades, (), {"letor": path})
