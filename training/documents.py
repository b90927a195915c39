"""A corpus as columns: what each field's JSON values are, and how they read as the kind that is wanted.

Reading is as strict here as at the server (`features/columns.py`): a number does not read as a text. What
training accepted, serving will not refuse.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from features import columns
from features.batch import CandidateBatch, Query
from features.columns import Column, Input, Kind, missing, read_as, seconds
from features.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Documents:
    """The documents of a collection.

    Attributes:
        ids: id → row.
        rows: the JSON objects without their ids.
    """

    ids: Mapping[str, int]
    rows: Sequence[Mapping[str, Any]]
    read: dict[Input, Column] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def fields(self) -> dict[str, Kind]:
        """Field → the kind of its values, in order of first appearance; fields of objects are left out."""
        names = dict.fromkeys(name for row in self.rows for name in row)
        kinds = {name: kind_of(row.get(name) for row in self.rows) for name in names}
        return {name: kind for name, kind in kinds.items() if kind is not None}

    @property
    def text_fields(self) -> tuple[str, ...]:
        """The fields that hold text: strings that are not all dates, and lists of strings."""
        return tuple(name for name, kind in self.fields.items() if kind in (Kind.TEXT, Kind.KEYWORD))

    def column(self, name: str, kind: Kind) -> Column:
        """A field as a column of the wanted kind, a row a document; a field nowhere present is missing.

        Raises:
            InvalidInput: naming the field and the document whose value does not fit.
        """
        wanted = Input(name, kind)
        if wanted not in self.read:
            self.read[wanted] = self._column(name, kind)
        return self.read[wanted]

    def _column(self, name: str, kind: Kind) -> Column:
        native = self.fields.get(name)
        if native is None:
            if any(row.get(name) for row in self.rows):
                raise InvalidInput("holds objects, which no feature reads", path=f"corpus.{name}")
            return missing(kind, len(self))
        if native is Kind.TIMESTAMP and kind in (Kind.TEXT, Kind.KEYWORD):
            native = Kind.TEXT
        try:
            return read_as(native_column([row.get(name) for row in self.rows], native), kind)
        except InvalidInput as error:
            raise error.at(f"corpus.{name}") from None

    def batch(self, inputs: Sequence[Input]) -> CandidateBatch:
        """The whole corpus as one query-less batch, a row a document: what features learn from."""
        read = {want.name: self.column(want.name, want.kind) for want in inputs}
        return CandidateBatch((Query(""),), list(self.ids), np.array([0, len(self)]), read)


def kind_of(values: Any) -> Kind | None:
    """The kind of a field's values: None where there is none, or where one is an object."""
    shapes = {shape(value) for value in values} - {""}
    if not shapes or "object" in shapes:
        return None
    if shapes <= {"number"}:
        return Kind.NUMBER
    if shapes == {"date"}:
        return Kind.TIMESTAMP
    if shapes <= {"numbers"}:
        return Kind.VECTOR
    return Kind.KEYWORD if "list" in shapes else Kind.TEXT


def shape(value: Any) -> str:
    """What a JSON value is: "" for a missing one."""
    if value is None or value == "" or value == []:
        return ""
    if isinstance(value, bool | int | float):
        return "number"
    if isinstance(value, str):
        return "date" if is_date(value) else "text"
    if isinstance(value, list) and all(isinstance(part, int | float) for part in value):
        return "numbers"
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "list"
    return "object"


def is_date(value: str) -> bool:
    """Whether a string is an ISO 8601 date with its dashes: `2006-11-02`, with or without a time."""
    if len(value) < 10 or value[4] != "-" or not value[:4].isdigit():
        return False
    try:
        seconds(value)
    except InvalidInput:
        return False
    return True


def native_column(values: list[Any], kind: Kind) -> Column:
    """The values as a column of their own kind."""
    if kind is Kind.NUMBER:
        return columns.number([as_number(value) for value in values])
    if kind is Kind.VECTOR:
        return vectors(values)
    if kind is Kind.TIMESTAMP:
        return columns.timestamp([seconds(value, row) for row, value in enumerate(values)])
    if kind is Kind.KEYWORD:
        return columns.keyword([as_keywords(value) for value in values])
    return columns.text([as_text(value) for value in values])


def as_number(value: Any) -> float:
    """A number; a boolean is 0 or 1, a missing value NaN."""
    return math.nan if value is None or value == "" or value == [] else as_float(value)


def as_float(value: float) -> float:
    """The number; a whole one beyond float64 is infinite, which columns refuse by its row."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def as_text(value: Any) -> str | None:
    """A text, None where there is none; a number among texts is its decimal form."""
    return None if value is None or value == [] else str(value)


def as_keywords(value: Any) -> tuple[str, ...]:
    """Keywords; a lone string is one keyword."""
    if shape(value) == "":
        return ()
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)


def vectors(values: list[Any]) -> Column:
    """Vectors of one dimension; a missing one is a row of NaN.

    Raises:
        InvalidInput: naming the row whose dimension differs from the first one's.
    """
    width = next(len(value) for value in values if value)
    for row, value in enumerate(values):
        if value and len(value) != width:
            raise InvalidInput(f"a vector of {len(value)} where others have {width}", path=f"[{row}]")
    rows = [[as_float(part) for part in value or [math.nan] * width] for value in values]
    with np.errstate(over="ignore"):
        return columns.vector(np.array(rows, np.float32))
