"""How recent a candidate is."""

from typing import Annotated, ClassVar

import msgspec
import numpy as np

from features.batch import CandidateBatch, Query
from features.columns import Doubles, Floats, Input, Kind, seconds
from features.errors import InvalidInput, NotReady
from features.feature import Feature, State

DAY_S = 86_400.0


class Recency(Feature, frozen=True):
    """2^(−age / half_life): 1 for now and the future, a half after one half-life; NaN without a timestamp.

    Now is an argument, never the clock of the process: the query's value `now` (seconds since 1970, UTC, or
    an ISO 8601 text), which serving fills in, so that a logged request replays exactly. A query without it,
    as in a judged collection, is asked at the newest timestamp of the corpus.

    The exponential decay of Li and Croft 2003, "Time-based language models".

    Attributes:
        field: a timestamp column.
        half_life_days: the age in days at which the value is a half.
        now: the name of the query value.
    """

    field: str
    half_life_days: Annotated[float, msgspec.Meta(gt=0)] = 365.0
    now: str = "now"

    kind: ClassVar[str] = "recency"

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The timestamp column."""
        return (Input(self.field, Kind.TIMESTAMP),)

    def prepare(self, documents: CandidateBatch) -> State:
        """`newest`: float64[1], the newest timestamp of the corpus (NaN where it has none)."""
        times: Doubles = documents.column(self.field, Kind.TIMESTAMP).values
        known = times[~np.isnan(times)]
        return {"newest": np.array([known.max() if len(known) else np.nan])}

    def compute(self, batch: CandidateBatch, state: State) -> Floats:
        """float32[n, 1] within [0, 1].

        Raises:
            NotReady: if a query names no time and no corpus has been learned.
            InvalidInput: if a query's time is not one.
        """
        moments = np.array([self._moment(i, query, state) for i, query in enumerate(batch.queries)])
        times: Doubles = batch.column(self.field, Kind.TIMESTAMP).values
        age_days = np.maximum(moments[batch.query_of_row] - times, 0.0) / DAY_S if len(batch) else times
        return np.exp2(-age_days / self.half_life_days).astype(np.float32)[:, None]

    def _moment(self, position: int, query: Query, state: State) -> float:
        asked = query.values.get(self.now)
        if asked is None:
            if "newest" not in state:
                message = f"the query has no value {self.now!r}; send one, or prepare the feature set"
                raise NotReady(message, path=f"features.{self.name}")
            return float(state["newest"][0])
        path = f"queries[{position}].values.{self.now}"
        moment = seconds_of(asked, path)
        if not np.isfinite(moment):
            raise InvalidInput("must be a finite time", path=path)
        return moment


def seconds_of(value: object, path: str) -> float:
    """Seconds since 1970 of a query value: a number, or an ISO 8601 text."""
    if isinstance(value, int | float):
        return float(value)
    try:
        return seconds(value if isinstance(value, str) else str(value))
    except InvalidInput as error:
        raise InvalidInput(error.message, path=path) from None
