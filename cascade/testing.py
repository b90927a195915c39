"""Small stand-ins for tests: a feature that learns one number, one-query batches, a bundle of two stages."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import numpy as np

from cascade.bundle import Draft, write_bundle
from cascade.config import parse_config
from cascade.request import RankRequest
from features.batch import CandidateBatch, Query, single
from features.columns import Column, Floats, Input, Kind, number
from features.feature import Feature, State
from features.matrix import FeatureMatrix

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)

TINY = """
[[stages]]
kind = "fixed"
name = "first"
keep = 2
table = {{ a = 1.0, b = 2.0, c = {score} }}

[[stages]]
kind = "linear"
weights = {{ "stage.first" = -1.0 }}
"""


class Centred(Feature, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number column less the mean that it has in the corpus."""

    kind: ClassVar[str] = "centred"

    field: str

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The column."""
        return (Input(self.field, Kind.NUMBER),)

    def prepare(self, documents: CandidateBatch) -> State:
        """The mean of the values that are there."""
        return {"mean": np.nanmean(documents.column(self.field, Kind.NUMBER).values, keepdims=True)}

    def compute(self, batch: CandidateBatch, state: State) -> Floats:
        """float32[n, 1]: NaN where the column has none."""
        values: Floats = batch.column(self.field, Kind.NUMBER).values
        return (values - state.get("mean", np.zeros(1, np.float32)))[:, None].astype(np.float32)


def candidates(ids: Sequence[str], columns: Mapping[str, Column] | None = None) -> CandidateBatch:
    """One query's candidates."""
    return single(Query("a query", id="q"), ids, columns or {})


def prices(values: Sequence[float]) -> CandidateBatch:
    """Candidates `0`, `1`, … with a number column `price`."""
    return candidates([str(row) for row in range(len(values))], {"price": number(values)})


def no_features(batch: CandidateBatch) -> FeatureMatrix:
    """A matrix without columns."""
    return FeatureMatrix(np.empty((len(batch), 0), np.float32), (), batch.offsets, "")


def request(ids: Sequence[str], top_k: int = 0) -> RankRequest:
    """A request for the candidates of those ids."""
    return RankRequest(candidates(ids), top_k)


def write_tiny_bundle(directory: Path, score: float = 3.0, now: datetime = NOON) -> Path:
    """A bundle without features and files of stages, two stages deep; another `score`, another version."""
    config = parse_config(TINY.format(score=score))
    golden = candidates(["a", "b", "c"])
    draft = Draft("tiny", config, config.feature_set(), directory, golden, {"nDCG@10": 0.5}, {"queries": 1})
    write_bundle(directory, draft, now)
    return directory
