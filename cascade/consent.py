"""Whose labels a ranker has learned from, and whether they agreed that others gain by it."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from cascade.manifest import read_manifest
from cascade.store import DirectoryStore
from cascade.tenants import Tenants
from features.errors import InvalidInput, NotFound, NotReady

SOURCES = "sources"
"""Key of a manifest's data: those whose labels went in, each with its `tenant`."""


def learned_from(data: Mapping[str, Any], owner: str) -> tuple[str, ...]:
    """The tenants whose labels went into a ranker, by its manifest's data; the owner's unless it tells."""
    return tuple(str(each["tenant"]) for each in data.get(SOURCES, ())) or (owner,)


def shares(tenants: Tenants, name: str) -> bool:
    """Whether a tenant agreed; one that nobody declared did not."""
    try:
        return tenants.get(name).share_with_base
    except NotFound:
        return False


def withheld(tenants: Tenants, sources: Iterable[str], borrowers: Collection[str]) -> tuple[str, ...]:
    """The sources that do not share, as far as anybody else would borrow from them."""
    return tuple(
        name
        for name in dict.fromkeys(sources)
        if any(borrower != name for borrower in borrowers) and not shares(tenants, name)
    )


def check_consent(
    tenants: Tenants,
    base: str,
    sources: Iterable[str],
    borrowers: Collection[str],
    allowed: bool | None = None,
) -> tuple[str, ...]:
    """See to it that all whose labels went into a base agreed that others borrow from it.

    Args:
        allowed: whether somebody answers for those who did not; None = that cannot be said here.

    Returns:
        Those who did not.

    Raises:
        InvalidInput: if there are any, and nobody answers for them.
    """
    private = withheld(tenants, sources, borrowers)
    if private and not allowed:
        way_out = "" if allowed is None else ", or answer for it with --allow-private-base"
        first = f"`sluice tenants set {private[0]} --share-with-base` (`add` if it is not declared)"
        raise InvalidInput(
            f"{base} has learned from {', '.join(private[:10])}, and no other may learn from that"
            f" (share_with_base): if it may, {first}; else make a base without it by `sluice train-base`"
            f"{way_out}",
            path="--base",
        )
    return private


def check_lender(root: Path, name: str, base: str) -> None:
    """See to it that all whose labels went into `tenant/ranker` agreed that it answers for another tenant.

    A ranker that is not there yet, or of which nothing is promoted, has learned from nobody.

    Raises:
        InvalidInput: if one did not.
    """
    owner, _, ranker = base.partition("/")
    try:
        manifest = read_manifest(DirectoryStore(root).path(owner, ranker)).manifest
    except (NotFound, NotReady):
        return
    check_consent(Tenants(root), base, learned_from(manifest.data, owner), [name])
