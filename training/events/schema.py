"""The joined table: what became of every item that was shown. The one thing that click models read.

One row an impression x candidate. The rows of a page (an impression: one answer as one person saw it) stand
together, top of the page first. Pages come in the order of a hash of their request id, so that any share of
the table, taken from its front, is a random sample of pages. Strings of a page are dictionaries
(`pa.dictionary(int32, string)`), so that a row costs four bytes for each: cast them where you need strings.

| column | type | what it is |
| --- | --- | --- |
| `request_id` | dictionary | the page; unique among pages of a tenant |
| `time` | timestamp[us, UTC] | when the page was shown |
| `tenant`, `ranker`, `version` | dictionary | who answered; the version is the bundle's digest |
| `query` | dictionary | the query's text |
| `values` | dictionary | the query's and the user's named values as a JSON object (`device`, `user.age` …) |
| `user`, `session` | dictionary | "" where unknown |
| `arm` | dictionary | arm of an experiment; "" = none |
| `source` | dictionary | who logged the page: `server`, `client`, or the importer's name |
| `candidate_id` | string | the item |
| `position` | int32 | 1 = top of the page |
| `score` | float32 | of the stage that placed the item; NaN = unknown |
| `propensity` | float32 | probability with which the policy put the item there; NaN = unknown |
| `team` | float32 | whose draft put the item there: 0 = the control, 1 …, -1 = nobody's; NaN = no draft |
| `clicked` | bool | at least one click |
| `first_click_order` | int32 | 1 = the item clicked first on the page, 2 = the next new one …; 0 = none |
| `last_click_order` | int32 | the same by last clicks: the highest is the item clicked last; 0 = none |
| `first_click_s` | float32 | seconds from the page to the first click; NaN = never clicked |
| `n_click`, `n_dwell`, `n_save`, `n_cart`, `n_purchase` | int32 | interactions by type |
| `n_other` | int32 | interactions of all named types together |
| `others` | string | named types and their counts as one JSON object; "" where there are none |
| `dwell_client`, `dwell_server` | float32 | longest dwell in seconds by who measured it; NaN = not measured |
| `value` | float64 | largest value that an interaction carried (a price, a rating); NaN = none |

Beside the table, where features were logged: `float32[n, k]` along its rows (`Pages.features`).
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from cascade.events import TYPES
from features.columns import Floats, Rows

NAMES = pa.dictionary(pa.int32(), pa.string())
TIME = pa.timestamp("us", tz="UTC")

PAGE = pa.schema(
    [
        ("request_id", NAMES),
        ("time", TIME),
        ("tenant", NAMES),
        ("ranker", NAMES),
        ("version", NAMES),
        ("query", NAMES),
        ("values", NAMES),
        ("user", NAMES),
        ("session", NAMES),
        ("arm", NAMES),
        ("source", NAMES),
    ]
)
"""Columns that say the same in every row of a page."""

ITEM = pa.schema(
    [
        ("candidate_id", pa.string()),
        ("position", pa.int32()),
        ("score", pa.float32()),
        ("propensity", pa.float32()),
        ("team", pa.float32()),
    ]
)
"""What was shown."""

BEHAVIOUR = pa.schema(
    [
        ("clicked", pa.bool_()),
        ("first_click_order", pa.int32()),
        ("last_click_order", pa.int32()),
        ("first_click_s", pa.float32()),
        *((f"n_{kind.lower()}", pa.int32()) for kind in TYPES),
        ("n_other", pa.int32()),
        ("others", pa.string()),
        ("dwell_client", pa.float32()),
        ("dwell_server", pa.float32()),
        ("value", pa.float64()),
    ]
)
"""What became of it."""

JOINED = pa.schema([*PAGE, *ITEM, *BEHAVIOUR])


@dataclass(frozen=True, slots=True, eq=False)
class Pages:
    """A part of the joined table: whole pages, never a piece of one.

    Attributes:
        table: schema `JOINED`, n rows.
        offsets: int64[q + 1]; rows `offsets[i]:offsets[i + 1]` are page i. No page is empty.
        features: what was logged with the pages, by feature set; empty unless the join was asked for it.
    """

    table: pa.Table
    offsets: Rows
    features: tuple["Logged", ...] = ()

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def page_of_row(self) -> Rows:
        """int64[n]: the page of each row."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))


@dataclass(frozen=True, slots=True, eq=False)
class Logged:
    """Features exactly as they were computed when the pages were shown.

    Attributes:
        fingerprint: of the feature set.
        names: the k features, and scores of stages as `stage.<name>`.
        rows: int64[m], rows of the table, rising.
        values: float32[m, k], NaN = missing, along `rows`.
    """

    fingerprint: str
    names: tuple[str, ...]
    rows: Rows
    values: Floats
