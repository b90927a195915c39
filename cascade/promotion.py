"""Which version serves, which did before, and how the one becomes the other."""

import msgspec

from features.errors import Conflict, NotReady

REMEMBERED = 100
"""Versions to go back to."""


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a version came to serve. Stands beside bundles, whose manifests their digests keep as they are.

    Attributes:
        time: ISO 8601, UTC.
        against: the version that it was compared with and took the place of; "" = none.
        forced: against the gate; `refusals` are its reasons, `reason` is the person's.
        grounds: what the gate went by, where it agreed.
    """

    version: str
    time: str
    against: str = ""
    forced: bool = False
    reason: str = ""
    refusals: tuple[str, ...] = ()
    grounds: tuple[str, ...] = ()


class Promotion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The version that serves ("" = none yet), and those that did before, oldest first.

    `records` tells of versions that the gate was asked about, oldest first; a rollback takes none away.
    """

    version: str = ""
    history: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()


def forward(before: Promotion, version: str, expected: str | None, record: Record | None = None) -> Promotion:
    """Another version serves; the one that did joins the history. The same one again changes nothing.

    Raises:
        Conflict: if another one than `expected` serves.
    """
    check(before, expected)
    if version == before.version:
        return before
    history = (*before.history, before.version) if before.version else before.history
    records = (*before.records, record) if record else before.records
    return Promotion(version, history[-REMEMBERED:], records[-REMEMBERED:])


def back(before: Promotion, expected: str | None) -> Promotion:
    """The version before serves again; the one that did is forgotten.

    Raises:
        NotReady: if there is none before.
        Conflict: if another one than `expected` serves.
    """
    check(before, expected)
    if not before.history:
        raise NotReady(f"no version served before {before.version or 'this'}; promote one")
    return Promotion(before.history[-1], before.history[:-1], before.records)


def approved(before: Promotion, record: Record) -> Promotion:
    """What serves stays, and it is kept that another version may take its place.

    Raises:
        Conflict: if another one than `record.against` serves.
    """
    check(before, record.against)
    return Promotion(before.version, before.history, (*before.records, record)[-REMEMBERED:])


def passed(before: Promotion, version: str) -> bool:
    """Whether the gate has agreed with a version in the place of the one that serves."""
    return any(
        (one.version, one.against, one.forced) == (version, before.version, False) for one in before.records
    )


def check(before: Promotion, expected: str | None) -> None:
    """Refuse a change that was decided on an older state."""
    if expected is not None and expected != before.version:
        raise Conflict(
            f"{before.version or 'nothing'} is promoted by now, not {expected or 'nothing'}; look again"
        )
