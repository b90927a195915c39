"""`sluice tenants remove`: a tenant, and where they are named its events and profiles."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import err, note
from cli.options import Store
from features.errors import NotFound

if TYPE_CHECKING:
    from cascade.profiles.store import ProfileStore
    from cascade.tenants import Tenants

STAYS = {
    "events": "its events stay; name their log with --log",
    "profiles": "no profiles were looked at; name them with --profiles",
}
"""A later tenant of that name would get them."""


def command(
    name: Annotated[str, typer.Argument(help="The tenant.", metavar="NAME")],
    store: Store,
    log: Annotated[
        Path | None,
        typer.Option(help="Its events in this event log, too, and the profiles beside it.", metavar="DIR"),
    ] = None,
    profiles: Annotated[
        str,
        typer.Option(
            help="Its profiles in this directory, or at the URL of a Redis, too. [LOG-profiles]",
            metavar="DIR|URL",
        ),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a tenant with its rankers, credentials and configuration. Requests in flight finish.

    With --log and --profiles the same command can be given again: it takes what came or stayed meanwhile.
    """
    from cascade.tenants import Tenants

    if log and not log.is_dir():
        raise NotFound(f"no directory {log}", path="--log")
    known = Tenants(store)
    with of_tenants(log, profiles) as kept:
        declared = is_known(known, name, elsewhere=log is not None or kept is not None)
        taken = ["rankers"] * declared + ["events"] * (log is not None) + ["profiles"] * (kept is not None)
        if not yes:
            typer.confirm(f"Remove {name} with all its {', '.join(taken)}?", abort=True)
        if declared:
            known.remove(name)
        if log:
            remove_events(log, name)
        if kept:  # last, as servers learn them from the log
            kept.clear(name)
    err.print(f"removed {name}: {', '.join(taken)}", highlight=False)
    for what, told in STAYS.items():
        if what not in taken:
            note(told)
    sweep(store, *([log] if log else []))


def is_known(known: "Tenants", name: str, elsewhere: bool) -> bool:
    """Whether the store has a tenant; one that it has no more may have left something elsewhere.

    Raises:
        NotFound: if it does not, and nothing else is named.
    """
    try:
        known.get(name)
    except NotFound:
        if not elsewhere:
            raise
        note(f"the store has no tenant {name}")
        return False
    return True


@contextmanager
def of_tenants(log: Path | None, where: str) -> "Iterator[ProfileStore | None]":
    """The profiles that are named, or lie beside the log; None where there are none.

    Raises:
        NotFound: if there is no such directory.
    """
    from cascade.profiles.opening import beside, is_redis, open_profiles

    place = where or (str(beside(log)) if log and beside(log).is_dir() else "")
    if not place:
        yield None
        return
    if not is_redis(place) and not Path(place).is_dir():
        raise NotFound(f"no directory {place}", path="--profiles")
    store = open_profiles(place)
    try:
        yield store
    finally:
        store.close()


def remove_events(log: Path, name: str) -> None:
    """A tenant's events, aside first: a server that goes on writing begins a folder of its own."""
    from cascade.eventlog.layout import home_of
    from cascade.files import put_aside, remove_tree

    home = home_of(log, name)
    if home.is_dir():
        remove_tree(put_aside(home))


def sweep(*roots: Path) -> None:
    """Remove what removals before left when they were killed, and say what cannot be removed."""
    from cascade.files import sweep_aside

    for path in (path for root in roots for path in sweep_aside(root)):
        err.print(
            f"{path} cannot be removed; the next `sluice tenants add` or `remove` tries again",
            style="yellow",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
