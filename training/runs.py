"""TREC run files: what a retriever returned for each query, best first."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from features.errors import InvalidInput
from training.files import at, lines

Lists = Mapping[str, Sequence[str] | Mapping[str, float]]
"""Query id → document ids, best first; as document id → score where the retriever's scores are known."""


def read_run(path: Path) -> dict[str, dict[str, float]]:
    """The documents of every query with their scores, which fall; ties keep the file's order.

    Lines are `query Q0 document rank score tag`.

    Raises:
        InvalidInput: naming the line that is none of these, or that repeats a document.
    """
    scored: dict[str, dict[str, float]] = {}
    for number, line in lines(path):
        where = at(path, number)
        query, document, score = parse_line(line, where)
        found = scored.setdefault(query, {})
        if document in found:
            raise InvalidInput(f"a second line for query {query!r} and document {document!r}", path=where)
        found[document] = score
    if not scored:
        raise InvalidInput("holds no results", path=str(path))
    return {query: dict(sorted(found.items(), key=falling)) for query, found in scored.items()}


def falling(item: tuple[str, float]) -> float:
    """The key that sorts by falling score."""
    return -item[1]


def parse_line(line: str, where: str) -> tuple[str, str, float]:
    """(query, document, score) of a run line.

    Raises:
        InvalidInput: if it has not six cells, or a score that is no finite number.
    """
    cells = line.split()
    try:
        query, _, document, _, score, _ = cells
        value = float(score)
    except ValueError:
        raise InvalidInput("not a run line: `query Q0 document rank score tag`", path=where) from None
    if not math.isfinite(value):
        raise InvalidInput(f"the score {score} is not finite", path=where)
    return query, document, value
