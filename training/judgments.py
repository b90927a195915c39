"""Relevance judgments: query → document → grade, from BEIR tables, TREC qrels and CSV.

A grade is a whole or fractional number of at least 0; 0 is judged and not relevant. The same pair twice with
one grade is fine, with two grades it is an error that names both lines.
"""

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from features.errors import InvalidInput
from training.files import at, lines

MAX_GRADE = 31
"""The highest grade that LambdaMART's gain 2^g - 1 can tell apart in a float32 (LightGBM's own limit)."""

Grades = Mapping[str, Mapping[str, float]]
"""Query id → document id → grade."""


@dataclass(slots=True)
class Ledger:
    """Judgments as they are read, with the line that each came from."""

    grades: dict[str, dict[str, float]] = field(default_factory=dict)
    origin: dict[tuple[str, str], str] = field(default_factory=dict)

    def enter(self, query: str, document: str, grade: float, where: str) -> None:
        """Add one judgment.

        Raises:
            InvalidInput: if the pair has another grade already.
        """
        known = self.grades.setdefault(query, {}).setdefault(document, grade)
        first = self.origin.setdefault((query, document), where)
        if known != grade:
            raise InvalidInput(
                f"query {query!r} and document {document!r} have grade {grade:g} here"
                f" and {known:g} at {first}; remove one of the lines",
                path=where,
            )


def read_grades(path: Path) -> Grades:
    """Judgments by the file's form: `.csv`, four columns of TREC qrels, else BEIR's three.

    Raises:
        InvalidInput: naming `file:line` for a line that is no judgment.
    """
    name = path.name.removesuffix(".gz")
    if name.endswith(".csv"):
        return _read(path, _csv_rows(path), _csv_judgment)
    if _is_trec(path):
        return _read(path, _split_rows(path, None), _trec_judgment)
    return _read(path, _skip_header(_split_rows(path, "\t")), _beir_judgment)


Row = tuple[int, list[str]]
Judgment = tuple[str, str, str]


def _read(path: Path, rows: Iterable[Row], parse: Callable[[list[str]], Judgment]) -> Grades:
    ledger = Ledger()
    for number, cells in rows:
        where = at(path, number)
        try:
            query, document, grade = parse(cells)
        except (ValueError, IndexError):
            raise InvalidInput(f"not a judgment: {' '.join(cells)[:80]!r}", path=where) from None
        ledger.enter(query.strip(), document.strip(), parse_grade(grade, where), where)
    if not ledger.grades:
        raise InvalidInput("holds no judgments", path=str(path))
    return ledger.grades


def parse_grade(text: str, where: str) -> float:
    """A grade.

    Raises:
        InvalidInput: if it is no finite number from 0 to 31.
    """
    try:
        grade = float(text)
    except ValueError:
        raise InvalidInput(f"the grade {text!r} is not a number", path=where) from None
    if not math.isfinite(grade) or not 0 <= grade <= MAX_GRADE:
        raise InvalidInput(f"the grade {text} is not between 0 and {MAX_GRADE}", path=where)
    return grade


def _is_trec(path: Path) -> bool:
    first = next(lines(path), (0, ""))[1]
    return "\t" not in first.strip() or len(first.split()) == 4


def _split_rows(path: Path, separator: str | None) -> Iterator[Row]:
    for number, line in lines(path):
        yield number, line.split(separator)


def _skip_header(rows: Iterator[Row]) -> Iterator[Row]:
    for position, (number, cells) in enumerate(rows):
        if position or not _is_header(cells):
            yield number, cells


def _is_header(cells: list[str]) -> bool:
    try:
        float(cells[-1])
    except ValueError:
        return cells[0].strip().lower() in {"query-id", "query_id", "qid", "query"}
    return False


def _beir_judgment(cells: list[str]) -> Judgment:
    query, document, grade = cells
    return query, document, grade


def _trec_judgment(cells: list[str]) -> Judgment:
    query, _, document, grade = cells
    return query, document, grade


CSV_COLUMNS = ("grade", "query", "docid")


def _csv_rows(path: Path) -> Iterator[Row]:
    """(line, [query, docid, grade]) by the header's names, in any order and with further columns."""
    numbered = lines(path)
    number, header = next(numbered, (1, ""))
    names = [name.strip().lower() for name in next(csv.reader([header]), [])]
    absent = [name for name in CSV_COLUMNS if name not in names]
    if absent:
        raise InvalidInput(
            f"the header lacks {', '.join(absent)}; it names grade, query and docid", path=at(path, number)
        )
    places = [names.index(name) for name in ("query", "docid", "grade")]
    for number, line in numbered:
        cells = next(csv.reader([line]))
        yield number, [cells[place] for place in places] if len(cells) == len(names) else cells[:1]


def _csv_judgment(cells: list[str]) -> Judgment:
    query, document, grade = cells
    return query, document, grade
