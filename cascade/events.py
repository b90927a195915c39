"""What is known of behaviour: what was shown, and what a person did with it.

Times are microseconds since 1970, UTC, as whole numbers: they come out of Parquet as they went in, and the
order of events does not hang on rounding. In the log both are arrays: fields are added at the end, and a
reader takes what an older writer did not know as its default.
"""

from typing import Literal

import msgspec

CLICK, DWELL, SAVE, CART, PURCHASE = TYPES = ("CLICK", "DWELL", "SAVE", "CART", "PURCHASE")
"""Interaction types that every label model knows. Named ones are lower case: `share`, `add_to_list`."""

MICROS = 1_000_000

UNTIMED = -(1 << 63)
"""The time of an event whose sender told none, on its way into the log: there it gets the writer's clock. It
is kept until then, so that a repetition is known for the same."""


class Impression(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="record", tag="impression", array_like=True
):
    """An answer as one person saw it: a page. Its identity is its `request_id`.

    Attributes:
        event_id: of this record; the same impression sent twice is one.
        request_id: of the answer; interactions name it. A second page of results is a second request.
        time_us: when it was shown.
        ranker, version: what ranked it; "" where that was not Sluice.
        query: the text.
        values: JSON object of the query's and (as `user.<name>`) the user's named values; "" = none.
        user, session: "" where unknown.
        candidates: ids in shown order, each once.
        positions: 1 = top of the page, rising; empty = 1, 2, 3 …
        scores: little-endian float32, as many as candidates; empty = unknown, NaN = no stage scored it.
        features: little-endian float32, row-major: len(candidates) x len(names); NaN = missing. Bit for bit
            what the stages read.
        names: of the features, and of stage scores as `stage.<name>`.
        fingerprint: of the feature set that computed them.
        ranked: candidates that the request had; more than `candidates` where the page shows only the best.
        arm: of an experiment; "" = none.
        propensities: little-endian float32: how probable the policy made each item's place; empty = unknown.
        source: who logged it: `server`, `client`, or an importer's name.
        context: keywords and vectors of the candidates that profiles count by (`cascade/profiles`); empty
            where the ranker has no such features.
        teams: where rankers were interleaved, who drafted each item: 0 = the control, 1 … = the other arms,
            -1 = nobody (`cascade/experiments/draft.py`); empty = not interleaved.
    """

    event_id: str
    request_id: str
    time_us: int
    candidates: tuple[str, ...]
    ranker: str = ""
    version: str = ""
    query: str = ""
    values: str = ""
    user: str = ""
    session: str = ""
    positions: tuple[int, ...] = ()
    scores: bytes = b""
    features: bytes = b""
    names: tuple[str, ...] = ()
    fingerprint: str = ""
    ranked: int = 0
    arm: str = ""
    propensities: bytes = b""
    source: str = "client"
    context: bytes = b""
    teams: tuple[int, ...] = ()


class Interaction(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="record", tag="interaction", array_like=True
):
    """What a person did with one shown item. Its identity is its `event_id` within its `request_id`.

    Attributes:
        event_id: the same interaction sent twice is one.
        request_id, candidate_id: the page and the item.
        type: one of `TYPES`, or a name in lower case.
        time_us: when it was done.
        dwell_s: seconds spent on the item; None = not measured.
        dwell_by: who measured it; "" = unknown, which counts as the client.
        value: a price, a rating; None = none.
        position: where the caller says the item stood; None = it does not say.
        user, session: where the sender knows them; the impression's own win.
        source: `client`, or an importer's name.
    """

    event_id: str
    request_id: str
    candidate_id: str
    type: str
    time_us: int
    dwell_s: float | None = None
    dwell_by: Literal["", "client", "server"] = ""
    value: float | None = None
    position: int | None = None
    user: str = ""
    session: str = ""
    source: str = "client"


Event = Impression | Interaction
