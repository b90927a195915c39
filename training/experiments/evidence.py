"""An experiment's status as evidence for the gate."""

from collections.abc import Mapping
from typing import Any

import msgspec

from features.errors import InvalidInput
from training.experiments.judge import MISMATCH
from training.gate import Tried


class Difference(msgspec.Struct, frozen=True):
    """A difference with its interval, as a status and an evaluation on a log have it."""

    value: float
    low: float
    high: float


class OfArm(msgspec.Struct, frozen=True):
    """What the gate reads of an arm."""

    version: str
    group: str
    pages: int
    difference: Difference | None


class Declared(msgspec.Struct, frozen=True):
    """What the gate reads of the declaration."""

    name: str
    kind: str
    metric: str


class Status(msgspec.Struct, frozen=True):
    """What the gate reads of `sluice experiment status --json`."""

    experiment: Declared
    arms: tuple[OfArm, ...]
    verdict: str


def tried_of(made: Mapping[str, Any], version: str) -> Tried:
    """The gain of a version that is to be promoted, over the control.

    Raises:
        InvalidInput: if it is no status of a canary or an interleaving.
    """
    try:
        found = msgspec.convert(made, Status)
    except msgspec.ValidationError as error:
        why = f"is no status of `sluice experiment status --json`: {error}"
        raise InvalidInput(why, path="--evaluation") from None
    one, control = found.experiment, found.arms[0].version if found.arms else ""
    arm = next((arm for arm in found.arms[1:] if arm.version == version), None)
    gain = arm.difference if arm else None
    value, low, high = (gain.value, gain.low, gain.high) if gain else (0.0, 0.0, 0.0)
    return Tried(
        measure=f"{one.metric} ({one.kind} {one.name})",
        difference=value,
        low=low,
        high=high,
        count=arm.pages if arm else 0,
        version=version if arm else ", ".join(each.version for each in found.arms[1:]),
        against=control,
        groups={each.group: each.pages for each in found.arms},
        refused=refused(found, gain is None),
    )


def refused(found: Status, unknown: bool) -> tuple[str, ...]:
    """Why it says nothing."""
    if found.verdict == MISMATCH:
        return (MISMATCH,)
    return ("no difference can be told yet",) if unknown else ()
