"""A teacher's opinion of pairs, as a Parquet file: a larger cross-encoder's, a remote API's, an LLM's.

Columns: `query_id` or `query` (the text), `document_id` or `document` (the text), and `score` (higher is
better) or `rank` (a permutation of the query's documents, 1 = best), or both. Where ids and texts are there,
ids count. A rank r reads as the score -ln r, whose softmax gives every document the share of its reciprocal
rank; a loss that looks at the order alone does not mind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.batch import CandidateBatch
from features.columns import Doubles, Floats, Rows
from features.errors import InvalidInput

QUERY = ("query_id", "query")
DOCUMENT = ("document_id", "document")
SCORE, RANK = "score", "rank"
SCHEMA = pa.schema([("query_id", pa.string()), ("document_id", pa.string()), (SCORE, pa.float32())])
"""What `sluice teach` writes."""


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """The scores of pairs.

    Attributes:
        query_by, document_by: the columns that name queries and documents: ids or texts.
        queries, documents: name → number.
        pairs: int64[n], which rise: query number · len(documents) + document number.
        scores: float32[n].
        ranked: scores come from a permutation, so that only their order means something.
    """

    query_by: str
    document_by: str
    queries: Mapping[str, int]
    documents: Mapping[str, int]
    pairs: Rows
    scores: Floats
    ranked: bool

    def __len__(self) -> int:
        return len(self.pairs)

    def along(self, batch: CandidateBatch, texts: Sequence[str]) -> Floats:
        """float32[n]: the score of every row of a batch, NaN where the teacher has none.

        `texts` are the documents' texts, a row each, read where the file names documents by their text.
        """
        asked = [query.id if self.query_by == "query_id" else query.text for query in batch.queries]
        query = numbers(asked, self.queries)[batch.query_of_row]
        document = numbers(batch.ids if self.document_by == "document_id" else texts, self.documents)
        wanted = np.where((query < 0) | (document < 0), -1, query * len(self.documents) + document)
        at = np.minimum(np.searchsorted(self.pairs, wanted), len(self.pairs) - 1)
        return np.where(self.pairs[at] == wanted, self.scores[at], np.nan).astype(np.float32)

    def check_known(self, query_ids: Mapping[str, Any], document_ids: Mapping[str, Any]) -> tuple[str, ...]:
        """A note for a person where some ids are none of a collection's.

        Raises:
            InvalidInput: if all are unknown.
        """
        notes = []
        for column, names, known in (
            (self.query_by, self.queries, query_ids),
            (self.document_by, self.documents, document_ids),
        ):
            unknown = [name for name in names if name not in known] if column.endswith("_id") else []
            if unknown and len(unknown) == len(names):
                raise InvalidInput(f"names nothing of the collection; {unknown[0]!r} is unknown", path=column)
            if unknown:
                notes.append(
                    f"the teacher scores {len(unknown)} of {len(names)} {column}s that the collection's"
                    f" judged part does not have (such as {unknown[0]!r}); left out"
                )
        return tuple(notes)


def numbers(names: Sequence[str], known: Mapping[str, int]) -> Rows:
    """int64[n]: the number of every name, -1 where it has none."""
    return np.array([known.get(name.strip(), -1) for name in names], np.int64)


def read_teacher(path: Path) -> Teacher:
    """The teacher of a Parquet file.

    Raises:
        InvalidInput: naming the column, and the row where one is to blame: a foreign schema, no rows, an
            empty name, a score that is not finite, a pair with two scores, ranks that are no permutation,
            ranks that contradict the scores.
    """
    table = read_table(path)
    at = partial(blame, path)
    query_by, query, queries = named(table, QUERY, at)
    document_by, document, documents = named(table, DOCUMENT, at)
    pairs = query * max(len(documents), 1) + document
    rank = ranks(table, pairs, query, at) if RANK in table.column_names else None
    if SCORE in table.column_names:
        scores = finite(table, at)
        check_agreement(query, scores, rank, at)
    else:
        scores = -np.log(rank) if rank is not None else np.empty(0)
    kept = once(pairs, scores, at)
    ranked = SCORE not in table.column_names
    return Teacher(
        query_by, document_by, queries, documents, pairs[kept], scores[kept].astype(np.float32), ranked
    )


def blame(path: Path, row: int | None, column: str, message: str) -> InvalidInput:
    """An error that names file, row (from 1) and column."""
    where = f"{path}: row {row + 1}" if row is not None else str(path)
    return InvalidInput(message, path=f"{where}: {column}" if column else where)


def read_table(path: Path) -> pa.Table:
    """The columns that count.

    Raises:
        InvalidInput: if there is no such file, it is no Parquet, or columns are missing.
    """
    if not path.is_file():
        raise InvalidInput("no such file; `sluice teach` makes one", path=str(path))
    try:
        there = pq.read_schema(path).names
        wanted = [name for name in (*QUERY, *DOCUMENT, SCORE, RANK) if name in there]
        table = pq.read_table(path, columns=wanted)
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(f"cannot be read as Parquet: {error}", path=str(path)) from None
    for group in (QUERY, DOCUMENT, (SCORE, RANK)):
        if not set(group) & set(there):
            raise InvalidInput(
                f"has no column {' or '.join(group)}; its columns are {', '.join(there)}", path=str(path)
            )
    if not len(table):
        raise InvalidInput("holds no rows", path=str(path))
    return table


def named(table: pa.Table, columns: tuple[str, str], at: Any) -> tuple[str, Rows, dict[str, int]]:
    """The column that names queries (or documents), the number of every row, and name → number."""
    column = next(name for name in columns if name in table.column_names)
    values = table[column].combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_integer(values.type) and column.endswith("_id"):
        values = values.cast(pa.string())
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        raise at(None, column, f"holds {values.type} where text is meant")
    stripped = pc.utf8_trim_whitespace(values)
    empty = np.flatnonzero(pc.equal(pc.fill_null(stripped, ""), "").to_numpy(zero_copy_only=False))
    if len(empty):
        raise at(int(empty[0]), column, f"is empty ({len(empty)} such rows); leave these pairs out")
    coded = stripped.dictionary_encode()
    names = {name: number for number, name in enumerate(coded.dictionary.to_pylist())}
    return column, coded.indices.to_numpy().astype(np.int64), names


def numeric(table: pa.Table, column: str, at: Any) -> Doubles:
    """float64[n] of a column of numbers; null is NaN."""
    values = table[column].combine_chunks()
    if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
        raise at(None, column, f"holds {values.type} where numbers are meant")
    found: Doubles = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return found


def finite(table: pa.Table, at: Any) -> Doubles:
    """The scores, all of them finite in float32."""
    scores = numeric(table, SCORE, at)
    bad = np.flatnonzero(~(np.abs(scores) <= np.finfo(np.float32).max))
    if len(bad):
        what = f"is {scores[bad[0]]} ({len(bad)} such rows); a teacher's score is a finite number"
        raise at(int(bad[0]), SCORE, what)
    return scores


def ranks(table: pa.Table, pairs: Rows, query: Rows, at: Any) -> Doubles:
    """The ranks: of each query's documents 1, 2, … without gaps or ties."""
    found = numeric(table, RANK, at)
    order = np.lexsort((found, query))
    starts = np.flatnonzero(np.diff(query[order], prepend=-1))
    place = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)])) + 1
    off = np.flatnonzero(found[order] != place)
    if len(off):
        row, meant = int(order[off[0]]), int(place[off[0]])
        raise at(row, RANK, f"is {found[row]:g} where {meant} is due: ranks are 1, 2, … each once a query")
    twice = len(pairs) - len(np.unique(pairs))
    if twice:
        raise at(None, RANK, f"{twice} documents stand in their query's permutation more than once")
    return found


def check_agreement(query: Rows, scores: Doubles, rank: Doubles | None, at: Any) -> None:
    """Refuse a rank that puts a document before one of a higher score."""
    if rank is None:
        return
    order = np.lexsort((rank, query))
    wrong = (np.diff(scores[order]) > 0) & (np.diff(query[order]) == 0)
    if wrong.any():
        row = int(order[int(np.flatnonzero(wrong)[0]) + 1])
        raise at(row, RANK, f"{rank[row]:g} comes after a lower score; drop one of the columns")


def once(pairs: Rows, scores: Doubles, at: Any) -> NDArray[np.int64]:
    """One row of every pair, in the order of the pairs.

    Raises:
        InvalidInput: if a pair has two scores.
    """
    order = np.argsort(pairs, kind="stable")
    same = np.diff(pairs[order]) == 0
    clash = np.flatnonzero(same & (np.diff(scores[order]) != 0))
    if len(clash):
        first, second = sorted((int(order[clash[0]]), int(order[clash[0] + 1])))
        message = f"{scores[second]:g} here and {scores[first]:g} in row {first + 1} for one pair; remove one"
        raise at(second, SCORE, message)
    kept: NDArray[np.int64] = order[np.concatenate([[True], ~same])]
    return kept
