"""What the join does with events that cannot be taken at face value: declared, applied alike, and counted."""

from typing import Annotated

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Most = Annotated[int, msgspec.Meta(ge=1)]


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules of a join.

    Attributes:
        late_s: an interaction longer after its page than this is left out (`late`).
        skew_s: clocks may differ by this; an interaction earlier before its page is left out (`skewed`).
        dwell_cap_s: a longer dwell is an open tab, and counts as this (`capped_dwell`).
        bot_events: pages and interactions of one person in one hour of the clock, UTC. Beyond it, what the
            person saw and did in that hour is left out (`bot_pages`, `bot`). A person is a user; where none
            is known, a session; where none is known either, the page.
    """

    late_s: Seconds = 86_400.0
    skew_s: Seconds = 300.0
    dwell_cap_s: Seconds = 1_800.0
    bot_events: Most = 1_000


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The span of a join, in microseconds since 1970.

    Attributes:
        since_us: pages shown from here on.
        watermark_us: pages shown, and interactions done, before this; what is later is as if it were not
            there yet. The same events under the same watermark give the same table, in whatever order and
            however often they arrived.
        settle_s: pages younger than this, before the watermark, are left out as well: most of what people
            will do with them is still to come. 0 = every page.
    """

    since_us: int = 0
    watermark_us: int = 1 << 61
    settle_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Counts(msgspec.Struct, kw_only=True):
    """What became of the events of a join. Counts of parts add up (`+`).

    Every interaction that was read is counted once, in one of: `joined`, `duplicate_interactions`, `orphan`,
    `outside`, `bot`, `not_shown`, `beyond_page`, `skewed`, `late`.

    Attributes:
        pages, items: in the joined table.
        pages_clicked: pages with at least one click.
        impressions, interactions: records read.
        joined: interactions in the table.
        duplicate_impressions, duplicate_interactions: repetitions of a record that counts.
        broken_pages: impressions whose lists do not fit each other, or are empty.
        orphan: interactions without an impression.
        outside: interactions on pages that are outside of the window.
        bot_pages, bot: pages and interactions of bots (`Rules.bot_events`).
        not_shown: interactions with an item that the page did not show.
        beyond_page: interactions at a position that the page does not have.
        moved: joined interactions at another position than the page shows the item at; the page is believed.
        skewed, late: interactions too early or too late for their page.
        bad_dwell: joined interactions whose dwell is negative or no number; it is taken as not measured.
        capped_dwell: joined interactions whose dwell was longer than the cap.
    """

    pages: int = 0
    items: int = 0
    pages_clicked: int = 0
    impressions: int = 0
    interactions: int = 0
    joined: int = 0
    duplicate_impressions: int = 0
    duplicate_interactions: int = 0
    broken_pages: int = 0
    orphan: int = 0
    outside: int = 0
    bot_pages: int = 0
    bot: int = 0
    not_shown: int = 0
    beyond_page: int = 0
    moved: int = 0
    skewed: int = 0
    late: int = 0
    bad_dwell: int = 0
    capped_dwell: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})
