"""Candidates of any number of queries as columns with offsets: the one shape that data flows in.

Serving builds a batch of one query and training one of 50,000; the code behind is the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from features.columns import Column, Floats, Kind, Rows, missing, read_as
from features.errors import InvalidInput

Value = str | float | tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """What was asked: text, named values (`locale`, `user.age`) and named vectors `float32[d]`."""

    text: str
    values: Mapping[str, Value] = field(default_factory=dict)
    vectors: Mapping[str, Floats] = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True, eq=False)
class CandidateBatch:
    """Candidates of `q` queries, `n` rows together.

    Attributes:
        queries: the q queries.
        ids: the n candidate ids.
        offsets: int64[q + 1]; rows `offsets[i]:offsets[i + 1]` belong to query i.
        columns: name → column of n rows.
        memo: derived views (analysed texts), computed once a batch and never part of its value.
    """

    queries: tuple[Query, ...]
    ids: Sequence[str]
    offsets: Rows
    columns: Mapping[str, Column] = field(default_factory=dict)
    memo: dict[object, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        offsets = np.asarray(self.offsets, np.int64)
        object.__setattr__(self, "offsets", offsets)
        if len(offsets) != len(self.queries) + 1 or offsets[0] != 0 or offsets[-1] != len(self.ids):
            raise InvalidInput("offsets must start at 0, end at the rows and have one more than queries")
        if len(offsets) > 2 and (offsets[1:] < offsets[:-1]).any():
            raise InvalidInput("offsets must not fall")
        n = len(self.ids)
        for name, column in self.columns.items():
            if len(column) != n:
                raise InvalidInput(f"has {len(column)} rows for {n} candidates", path=f"columns.{name}")

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def query_of_row(self) -> Rows:
        """int64[n]: the index of the query that each row belongs to."""
        return np.repeat(np.arange(len(self.queries)), np.diff(self.offsets))

    def column(self, name: str, kind: Kind) -> Column:
        """The named column read as `kind`; a column that is not there is missing in every row."""
        found = self.columns.get(name)
        if found is None:
            return missing(kind, len(self))
        try:
            return read_as(found, kind)
        except InvalidInput as error:
            raise error.at(f"columns.{name}") from None

    def take(self, rows: Rows) -> "CandidateBatch":
        """The given rows, which must stay grouped by query in the queries' order; queries are kept."""
        owner = self.query_of_row[rows]
        if (np.diff(owner) < 0).any():
            raise InvalidInput("rows must stay grouped by query")
        offsets = np.searchsorted(owner, np.arange(len(self.queries) + 1))
        columns = {name: column.take(rows) for name, column in self.columns.items()}
        return CandidateBatch(self.queries, [self.ids[i] for i in rows.tolist()], offsets, columns)

    def only(self, query: int) -> "CandidateBatch":
        """The batch of one query alone."""
        rows = np.arange(self.offsets[query], self.offsets[query + 1])
        columns = {name: column.take(rows) for name, column in self.columns.items()}
        ids = list(self.ids[rows[0] : rows[-1] + 1]) if len(rows) else []
        return CandidateBatch((self.queries[query],), ids, np.array([0, len(rows)]), columns)

    def with_columns(self, columns: Mapping[str, Column]) -> "CandidateBatch":
        """The same rows with further columns; derived views are shared, as no text has changed."""
        return replace(self, columns={**self.columns, **columns})


def single(query: Query, ids: Sequence[str], columns: Mapping[str, Column]) -> CandidateBatch:
    """The batch of one query."""
    return CandidateBatch((query,), ids, np.array([0, len(ids)]), columns)
