"""How often people did something with an item: a smoothed rate, or a decayed count."""

from typing import Annotated, ClassVar, Literal

import msgspec
import numpy as np

from features.batch import CandidateBatch
from features.behaviour import Signal, Statistic, Window
from features.columns import Doubles, Floats, Input, Kind
from features.feature import Feature, State

Scope = Literal["item", "query_item", "user_item", "session_item", "user", "session", "query"]
Strength = Annotated[float, msgspec.Meta(gt=0, le=1e9)]


class Behaviour(Feature, frozen=True):
    """A rate of what people did, drawn to the tenant's overall rate where little is known:

        (c + prior · r0) / (n + prior),   r0 = (C + 1) / (N + 2)

    c counts the signal, n what it is measured by (`per`), in the scope: this item, this item after this
    query, this item and this user, …; C and N are the tenant's own. All decay exponentially with the window's
    half-life. An item, a query or a user of which nothing is known has c = n = 0 and so the tenant's rate:
    the posterior mean under a Beta prior of that mean and strength `prior` (Casella, "An introduction to
    empirical Bayes data analysis", 1985), with Laplace's rule of succession for the tenant itself. NaN where
    the profiles were out of reach, or where the request names no such user or session.

    Attributes:
        of: whose count.
        signal: what is counted; `dwell` in minutes, `engagement` weighted (see docs/personalization.md).
        per: what a rate is measured by.
        statistic: `rate`, or `count`: c as it is.
        window: `recent` or `long`.
        prior: how many observations the tenant's rate counts for.
    """

    of: Scope
    signal: Signal = "click"
    per: Literal["impression", "click"] = "impression"
    statistic: Literal["rate", "count"] = "rate"
    window: Window = "long"
    prior: Strength = 20.0

    kind: ClassVar[str] = "behaviour"

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The counts: the scope's, and for a rate the tenant's."""
        wanted = [Statistic(self.of, self.signal, self.window)]
        if self.statistic == "rate":
            wanted += [
                Statistic(self.of, self.per, self.window),
                Statistic("tenant", self.signal, self.window),
                Statistic("tenant", self.per, self.window),
            ]
        return tuple(dict.fromkeys(Input(one.column, Kind.NUMBER) for one in wanted))

    def compute(self, batch: CandidateBatch, state: State) -> Floats:  # noqa: ARG002 (it learns nothing)
        """float32[n, 1], not negative."""
        made = counted(batch, self.of, self.signal, self.window)
        if self.statistic == "rate":
            shown = counted(batch, self.of, self.per, self.window)
            made = smoothed(made, shown, overall(batch, self.signal, self.per, self.window), self.prior)
        return made.astype(np.float32)[:, None]


def counted(batch: CandidateBatch, scope: str, signal: str, window: str, field: str = "") -> Doubles:
    """float64[n]: a count as joined, not below 0; NaN = unknown."""
    name = Statistic(scope, signal, window, field).column
    values: Floats = batch.column(name, Kind.NUMBER).values
    return np.maximum(values.astype(np.float64), 0.0)


def smoothed(count: Doubles, shown: Doubles, mean: Doubles, strength: float) -> Doubles:
    """(c + strength · mean) / (n + strength)."""
    made: Doubles = (count + strength * mean) / (shown + strength)
    return made


def overall(batch: CandidateBatch, signal: str, per: str, window: str) -> Doubles:
    """The tenant's rate by the rule of succession, (C + 1) / (N + 2): above 0 whatever is known."""
    counts = counted(batch, "tenant", signal, window), counted(batch, "tenant", per, window)
    made: Doubles = (counts[0] + 1.0) / (counts[1] + 2.0)
    return made
