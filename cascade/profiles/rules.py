"""How behaviour becomes numbers: declared once, the same for serving and for replaying a log."""

from typing import Annotated

import msgspec

from cascade.events import CART, CLICK, DWELL, MICROS, PURCHASE, SAVE

Positive = Annotated[float, msgspec.Meta(gt=0)]
DAY_S = 86_400.0


class Weights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an interaction adds to `engagement`, and weighs in a person's vectors.

    A dwell adds `dwell` · log2(1 + minutes), so that half an hour counts for five minutes' double and not for
    thirty.
    """

    click: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    dwell: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    save: Annotated[float, msgspec.Meta(ge=0)] = 3.0
    cart: Annotated[float, msgspec.Meta(ge=0)] = 4.0
    purchase: Annotated[float, msgspec.Meta(ge=0)] = 6.0
    other: Annotated[float, msgspec.Meta(ge=0)] = 1.0


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules of a profile store. Change one, and the profiles have to be built anew from the log.

    Attributes:
        recent_days, long_days: half-lives of the two windows.
        dwell_cap_s: a longer dwell is an open tab, and counts as this.
        skew_s: an interaction earlier before its page than this is left out; one a little before counts as if
            it were done on the page's moment.
        late_s: an interaction longer after its page than this is left out.
        ttl_days: an item, a query or a user that nothing happened to for so long is forgotten.
        session_s: the same of a session.
        entries_bytes: of the items, and of the values of each field, in one profile; the lightest make room.
        vector_dimension: longer vectors are not kept.
    """

    recent_days: Positive = 1.0
    long_days: Positive = 30.0
    dwell_cap_s: Positive = 1_800.0
    skew_s: Positive = 300.0
    late_s: Positive = 86_400.0
    ttl_days: Positive = 180.0
    session_s: Positive = 86_400.0
    entries_bytes: Annotated[int, msgspec.Meta(ge=1_024)] = 64 << 10
    vector_dimension: Annotated[int, msgspec.Meta(ge=1)] = 1_024
    weights: Weights = Weights()

    @property
    def half_lives_us(self) -> tuple[float, float]:
        """Of `recent` and `long`."""
        return self.recent_days * DAY_S * MICROS, self.long_days * DAY_S * MICROS

    @property
    def ttl_us(self) -> int:
        """Of everything but sessions."""
        return int(self.ttl_days * DAY_S * MICROS)

    @property
    def session_us(self) -> int:
        """Of sessions."""
        return int(self.session_s * MICROS)

    @property
    def page_us(self) -> int:
        """How long a page waits for interactions, and an interaction for its page."""
        return int((self.late_s + self.skew_s) * MICROS)

    @property
    def encoded(self) -> bytes:
        """Equal for equal rules: a store keeps it, and is asked for it before it is used."""
        return msgspec.json.encode(self, order="deterministic")


SIGNAL_OF = {CLICK: "click", DWELL: "dwell", SAVE: "save", CART: "cart", PURCHASE: "purchase"}
"""Interaction type → what it counts as; a named type counts as `other`."""
