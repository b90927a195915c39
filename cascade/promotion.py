"""Which version serves, which did before, and how the one becomes the other."""

import msgspec

from features.errors import Conflict, NotReady

REMEMBERED = 100
"""Versions to go back to."""


class Promotion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The version that serves ("" = none yet), and those that did before, oldest first."""

    version: str = ""
    history: tuple[str, ...] = ()


def forward(before: Promotion, version: str, expected: str | None) -> Promotion:
    """Another version serves; the one that did joins the history. The same one again changes nothing.

    Raises:
        Conflict: if another one than `expected` serves.
    """
    check(before, expected)
    if version == before.version:
        return before
    history = (*before.history, before.version) if before.version else before.history
    return Promotion(version, history[-REMEMBERED:])


def back(before: Promotion, expected: str | None) -> Promotion:
    """The version before serves again; the one that did is forgotten.

    Raises:
        NotReady: if there is none before.
        Conflict: if another one than `expected` serves.
    """
    check(before, expected)
    if not before.history:
        raise NotReady(f"no version served before {before.version or 'this'}; promote one")
    return Promotion(before.history[-1], before.history[:-1])


def check(before: Promotion, expected: str | None) -> None:
    """Refuse a change that was decided on an older state."""
    if expected is not None and expected != before.version:
        raise Conflict(
            f"{before.version or 'nothing'} is promoted by now, not {expected or 'nothing'}; look again"
        )
