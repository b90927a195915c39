"""Golden queries: inputs that travel with a bundle, with what every feature and stage made of them.

Loading a bundle recomputes them, so that a library or a machine that scores otherwise is found before the
first request. Each stage is judged alone: it reads the recorded features and the recorded scores of the
stages before it, so that a difference is reported where it arises.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from cascade.deadline import NEVER
from cascade.pipeline import Step
from cascade.stage import SCORE
from features.batch import CandidateBatch, Query, Value, single
from features.columns import Column, Floats, Kind
from features.errors import Corrupt
from features.featureset import FeatureSet
from features.matrix import FeatureMatrix

Numbers = list[float | None]


class GoldenColumn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One candidate column. Numbers that are missing are null; a vector column is a list of lists."""

    kind: Kind
    values: list[Any]
    width: int = 0


class GoldenQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One query with its candidates, its features (a list a column) and the scores of every stage."""

    id: str
    text: str
    values: dict[str, str | float | list[str]]
    vectors: dict[str, Numbers]
    ids: list[str]
    columns: dict[str, GoldenColumn]
    features: dict[str, Numbers]
    scores: dict[str, Numbers]


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What features and stages made of one query."""

    matrix: FeatureMatrix
    scores: Mapping[str, Floats]


def sample(batch: CandidateBatch, queries: int = 3, candidates: int = 20) -> CandidateBatch:
    """The first few queries of a batch that have candidates, with their first few candidates."""
    sizes = np.diff(batch.offsets)
    chosen = np.flatnonzero(sizes > 0)[:queries].tolist()
    rows = [batch.offsets[i] + np.arange(min(sizes[i], candidates)) for i in chosen]
    part = batch.take(np.concatenate([*rows, np.empty(0, np.int64)]).astype(np.int64))
    offsets = np.concatenate([[0], np.cumsum([len(each) for each in rows])]).astype(np.int64)
    return CandidateBatch(tuple(batch.queries[i] for i in chosen), part.ids, offsets, part.columns)


def record(batch: CandidateBatch, features: FeatureSet, steps: Sequence[Step]) -> bytes:
    """`golden.json`: every query of the batch, ranked alone as a server would."""
    recorded = []
    for position in range(len(batch.queries)):
        query = batch.only(position)
        recorded.append(dump(query, run(query, features.compute(query), steps)))
    return msgspec.json.encode(recorded)


def run(batch: CandidateBatch, matrix: FeatureMatrix, steps: Sequence[Step]) -> Made:
    """Every stage over all candidates of one query, cut by none."""
    scores: dict[str, Floats] = {}
    wide = matrix
    for step in steps:
        made = step.stage.score(batch, wide, NEVER).scores
        scores[step.spec.name] = made
        wide = wide.with_column(SCORE + step.spec.name, made)
    return Made(matrix, scores)


def verify(data: bytes, features: FeatureSet, steps: Sequence[Step]) -> None:
    """Recompute every golden query.

    Raises:
        Corrupt: naming the feature or the stage that differs, and the query.
    """
    for query in read(data):
        batch = load(query)
        computed = features.compute(batch)
        for feature, name in ((one, name) for one in features.features for name in one.outputs):
            recorded = query.features.get(name)
            compare(f"feature {name!r}", query, recorded, computed.column(name), feature.tolerance)
        for step, wide in zip(steps, widening(query, computed, steps), strict=True):
            made = step.stage.score(batch, wide, NEVER).scores
            recorded = query.scores.get(step.spec.name)
            compare(f"stage {step.spec.name!r}", query, recorded, made, step.spec.tolerance)


def read(data: bytes) -> list[GoldenQuery]:
    """The golden queries of a file.

    Raises:
        Corrupt: if it is no such file.
    """
    try:
        return msgspec.json.decode(data, type=list[GoldenQuery])
    except msgspec.MsgspecError as error:
        raise Corrupt(f"golden.json: {error}") from None


def widening(query: GoldenQuery, computed: FeatureMatrix, steps: Sequence[Step]) -> Iterator[FeatureMatrix]:
    """For each stage, the matrix of the recorded features and of the recorded scores before it."""
    columns = [floats(query.features[name]) for name in computed.names]
    values = np.stack(columns, axis=1) if columns else computed.values
    wide = FeatureMatrix(values, computed.names, computed.offsets, computed.fingerprint)
    for step in steps:
        yield wide
        recorded = query.scores.get(step.spec.name, [None] * len(query.ids))
        wide = wide.with_column(SCORE + step.spec.name, floats(recorded))


def compare(what: str, query: GoldenQuery, recorded: Numbers | None, made: Floats, tolerance: float) -> None:
    """Refuse numbers that are not the recorded ones: NaN where NaN was, the others within the tolerance."""
    where = f"{what} of golden query {query.id or query.text!r}"
    if recorded is None or len(recorded) != len(made):
        raise Corrupt(f"{where} has no recorded numbers")
    wanted = floats(recorded)
    same = np.isclose(made, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)
    if not same.all():
        row = int(np.flatnonzero(~same)[0])
        raise Corrupt(
            f"{where} does not reproduce: {made[row]:.9g} instead of {wanted[row]:.9g} for {query.ids[row]!r}"
        )


def dump(batch: CandidateBatch, made: Made) -> GoldenQuery:
    """One query's batch and what was made of it, as it is written."""
    (query,) = batch.queries
    return GoldenQuery(
        id=query.id,
        text=query.text,
        values={name: list(v) if isinstance(v, tuple) else v for name, v in query.values.items()},
        vectors={name: numbers(vector) for name, vector in query.vectors.items()},
        ids=list(batch.ids),
        columns={name: dump_column(column) for name, column in batch.columns.items()},
        features={name: numbers(made.matrix.column(name)) for name in made.matrix.names},
        scores={name: numbers(scores) for name, scores in made.scores.items()},
    )


def dump_column(column: Column) -> GoldenColumn:
    """A column, as it is written."""
    if column.kind is Kind.VECTOR:
        rows = [numbers(row) for row in column.values]
        return GoldenColumn(column.kind, rows, column.values.shape[1])
    if column.kind in (Kind.NUMBER, Kind.TIMESTAMP):
        return GoldenColumn(column.kind, numbers(column.values))
    return GoldenColumn(column.kind, list(column.values))


def load(query: GoldenQuery) -> CandidateBatch:
    """The batch of one golden query.

    Raises:
        Corrupt: if a column's values are not of its kind.
    """
    values: dict[str, Value] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in query.values.items()
    }
    vectors = {name: floats(vector) for name, vector in query.vectors.items()}
    try:
        columns = {name: load_column(column) for name, column in query.columns.items()}
    except (TypeError, ValueError) as error:
        raise Corrupt(f"golden.json: columns of query {query.id or query.text!r}: {error}") from None
    return single(Query(query.text, values, vectors, query.id), query.ids, columns)


def load_column(column: GoldenColumn) -> Column:
    """A written column."""
    if column.kind is Kind.VECTOR:
        rows = np.array([floats(row) for row in column.values], np.float32)
        return Column(column.kind, rows.reshape(len(column.values), column.width))
    if column.kind in (Kind.NUMBER, Kind.TIMESTAMP):
        dtype = np.float32 if column.kind is Kind.NUMBER else np.float64
        return Column(column.kind, np.array(column.values, dtype))
    if column.kind is Kind.KEYWORD:
        return Column(column.kind, [tuple(row) for row in column.values])
    return Column(column.kind, column.values)


def numbers(values: Any) -> Numbers:
    """An array as JSON has it: float32 survives through float64, NaN is null."""
    return [None if value != value else value for value in values.tolist()]


def floats(values: Numbers) -> Floats:
    """float32[n] of written numbers."""
    return np.array([np.nan if value is None else value for value in values], np.float32)
