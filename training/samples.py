"""Pairs of texts that an import is calibrated and judged on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from features.columns import Kind
from features.errors import InvalidInput
from training.export.judging import Judged
from training.files import at, lines

QUERIES = 40
"""Of the built-in ones: enough to see that an export is sound, few enough to wait for."""
BUILT_IN = "Python's own documentation"


class Line(msgspec.Struct, frozen=True):
    """One line of a file of pairs."""

    query: str
    document: str
    grade: float | None = None


@dataclass(frozen=True, slots=True)
class Samples:
    """Pairs, and those of them that are judged.

    Attributes:
        name: where they come from.
        pairs: (query, document) texts.
        judged: pairs with grades, if there are any that tell something.
    """

    name: str
    pairs: tuple[tuple[str, str], ...]
    judged: Judged | None


def read_samples(file: Path) -> Samples:
    """Pairs from a file of JSON lines: `{"query": …, "document": …, "grade": …}`, grades optional; .gz too.

    Raises:
        NotFound: if there is no such file.
        InvalidInput: naming the line that is wrong.
    """
    rows = [parsed(file, number, line) for number, line in lines(file)]
    kept = [row for row in rows if row.query.strip() and row.document.strip()]
    if not kept:
        raise InvalidInput("has no pair with a query and a document", path=str(file))
    return sampled(file.name, kept)


def parsed(file: Path, number: int, line: str) -> Line:
    """One line."""
    try:
        return msgspec.json.decode(line, type=Line)
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"{error}", path=at(file, number)) from None


def sampled(name: str, rows: Sequence[Line]) -> Samples:
    """Samples of rows; what is judged needs relevant documents and others."""
    graded = [(row.query, row.document, row.grade) for row in rows if row.grade is not None]
    try:
        judged = Judged.of(graded) if graded else None
    except InvalidInput:
        judged = None
    return Samples(name, tuple((row.query, row.document) for row in rows), judged)


def built_in_samples() -> Samples:
    """Judged queries over the docstrings of this very Python, for whoever has no pairs at hand."""
    from training.sources import open_collection
    from training.stdlib import write

    with TemporaryDirectory() as folder:
        collection = open_collection(write(Path(folder)), "dev")
    documents = collection.documents
    columns = [documents.column(name, Kind.TEXT).values for name in ("title", "text")]
    texts = {name: ". ".join(column[row] or "" for column in columns) for name, row in documents.ids.items()}
    judged = list(collection.grades.items())[:QUERIES]
    rows = [
        Line(collection.queries[query].text, texts[document], grade)
        for query, grades in judged
        for document, grade in grades.items()
    ]
    return sampled(BUILT_IN, rows)
