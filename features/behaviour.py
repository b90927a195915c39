"""Names of the columns that carry behaviour into a batch: who counts, what, in which window.

    behaviour.<scope>.<signal>.<window>[.<field>]

Features do no input or output: whoever builds a batch looks the profiles up and joins them as number columns
of these names (`cascade/profiles`). A ranker that reads one is thereby known to want it.
"""

from functools import lru_cache
from typing import Literal, NamedTuple

PREFIX = "behaviour."
"""Prefix of every such column."""
AS_OF = "behaviour.as_of"
"""Query value: the arrival of the last event that the profiles had seen when they were read."""

Signal = Literal["impression", "click", "dwell", "save", "cart", "purchase", "other", "engagement"]
Window = Literal["recent", "long"]
Owner = Literal["user", "session", "query"]

SIGNALS = ("impression", "click", "dwell", "save", "cart", "purchase", "other", "engagement")
"""What is counted. `dwell` is in minutes, `engagement` the weighted sum of what people did."""
WINDOWS = ("recent", "long")
"""Two half-lives."""
OWNERS = ("user", "session", "query")
"""Whose profiles keep items and field values of their own."""

COSINE = "cosine"
"""Signal of a `<owner>_vector` column: of the candidate's vector with the owner's."""

SCOPES = frozenset(
    {"tenant", "item", *OWNERS, *(f"{one}_{part}" for one in OWNERS for part in ("item", "field"))}
)
VECTORS = frozenset({"user_vector", "session_vector"})


class Statistic(NamedTuple):
    """What one column holds.

    Attributes:
        scope: `tenant`, `item`, an owner, `<owner>_item`, `<owner>_field` or `<owner>_vector`.
        signal: one of `SIGNALS`; `cosine` for vectors.
        window: `recent` or `long`.
        field: the keyword field, or the vector column; "" for the other scopes.
    """

    scope: str
    signal: str
    window: str
    field: str = ""

    @property
    def column(self) -> str:
        """Its name in a batch."""
        return PREFIX + ".".join(filter(None, self))

    @property
    def owner(self) -> str:
        """Whose profile it is in: `user` of `user_item`."""
        return self.scope.split("_")[0]


@lru_cache(maxsize=4096)
def statistic_of(column: str) -> Statistic | None:
    """What a column of a batch holds; None if it is none of these."""
    if not column.startswith(PREFIX):
        return None
    parts = column.removeprefix(PREFIX).split(".", 3)
    if len(parts) < 3:
        return None
    found = Statistic(*parts)
    of_field = found.scope.endswith(("_field", "_vector"))
    known = (found.scope in SCOPES and found.signal in SIGNALS) or (
        found.scope in VECTORS and found.signal == COSINE
    )
    return found if known and found.window in WINDOWS and of_field == bool(found.field) else None
