"""What `sluice status` tells, as JSON has it."""

import msgspec

from cascade.lift.verdict import Between, Lift


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """The experiment that runs; the first arm is the control."""

    name: str
    kind: str
    arms: tuple[str, ...]
    started: str


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What a store says of a ranker.

    Attributes:
        version: that serves; "" = none. `versions`: how many there are.
        promoted: since when it serves; `made`: when it was trained. ISO 8601, UTC.
        forced: it was promoted against the gate.
        data_window: of the events that it learned from; empty where it learned from none.
        metrics: what training reached, the main one first.
        experiment: that runs.
        problem: what of this could not be read.
    """

    version: str = ""
    versions: int = 0
    promoted: str = ""
    made: str = ""
    forced: bool = False
    data_window: dict[str, str] = {}
    metrics: dict[str, float] = {}
    experiment: Running | None = None
    problem: str = ""


class StageLift(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage earns against the one before it, in clicks a page; 95 % intervals. See `cascade.lift`."""

    stage: str
    against: str
    pages: int
    ran: float
    before: float
    lift: Between
    relative: Between
    effective: float
    verdict: str
    refused: tuple[str, ...]

    @classmethod
    def of(cls, lift: Lift) -> "StageLift":
        """A lift as it is told."""
        names = [name for name in cls.__struct_fields__ if name != "pages"]
        return cls(pages=round(lift.pages), **{name: getattr(lift, name) for name in names})


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What the log says of a ranker, over the window.

    Attributes:
        pages: that it ranked, by version and by arm of experiments.
        people: who saw them (users, or sessions, or pages of nobody known).
        interactions: by type; `others` are named ones.
        clicked_pages: share of pages with a click. `clicks_a_page`: clicked items.
        last_page: ISO 8601.
        scored_whole: share of the serving version's pages that every stage scored; None = there are none.
        examination: θ by place, and what told it; `examination_why`: why swaps in the log did not.
        stages: of the version that serves, where examination is known.
        drift: feature → population stability index against training, the largest first. `drift_why`: why it
            cannot be told; "" where it can, or where training kept nothing to compare with.
        left_out: pages of the version that tell no lift, by reason.
    """

    pages: int = 0
    versions: dict[str, int] = {}
    arms: dict[str, int] = {}
    people: int = 0
    interactions: dict[str, int] = {}
    clicked_pages: float = 0.0
    clicks_a_page: float = 0.0
    last_page: str = ""
    scored_whole: float | None = None
    examination: tuple[float, ...] = ()
    examination_source: str = ""
    examination_why: str = ""
    stages: tuple[StageLift, ...] = ()
    drift: dict[str, float] = {}
    drift_why: str = ""
    left_out: dict[str, int] = {}


class RankerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One ranker; `seen` only where a log was named that has events of its tenant."""

    tenant: str
    ranker: str
    serving: Serving
    seen: Seen | None = None


class TenantLog(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's part of the log, over the window.

    Attributes:
        last_event: ISO 8601; "" = there is none. `age_s`: its age.
        events: what became of them, by the names of `training.events.rules.Counts`, where not 0.
    """

    tenant: str
    last_event: str = ""
    age_s: float | None = None
    events: dict[str, int] = {}


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """All that was asked for.

    Attributes:
        time: of asking. `since`: the window's beginning; "" = the log's.
    """

    time: str
    since: str = ""
    rankers: tuple[RankerStatus, ...] = ()
    logs: tuple[TenantLog, ...] = ()
