"""`sluice forget`: remove a person, and say which models learned from them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from cli.console import err, out
from cli.options import Json, Tenant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cascade.eventlog.forget import Forgotten


def command(
    user: Annotated[str, typer.Option(help="The person's id, as requests and events have it.", metavar="ID")],
    tenant: Tenant,
    log: Annotated[Path, typer.Option(help="Directory of the event log.", metavar="DIR")],
    store: Annotated[
        Path | None, typer.Option(help="Store to look through for models of that time.", metavar="DIR")
    ] = None,
    profiles: Annotated[
        str,
        typer.Option(
            help="Directory of the profiles, or the URL of a Redis. [LOG-profiles]", metavar="DIR|URL"
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Remove a person from the log and the profiles, and list the models trained with their events."""
    from cascade.eventlog.forget import forget
    from cascade.eventlog.layout import home_of
    from cascade.profiles.forget import traces_of
    from cli.log import names

    names(log, tenant)
    known = list(versions(store, tenant)) if store else None
    traces = traces_of(home_of(log, tenant), user)
    gone = forget(home_of(log, tenant), user)
    erased = from_profiles(log, tenant, traces, profiles)
    models = None if known is None or not gone.last_us else list(trained_with(known, gone))
    if json:
        import msgspec

        told = {"removed": gone, "profiles": erased, "models": models}
        typer.echo(msgspec.json.format(msgspec.json.encode(told), indent=2))
        return
    show(gone, models or [])
    if erased is None:
        err.print("no profiles looked at; name them with --profiles", highlight=False)
    else:
        typer.echo(f"profiles: {erased} entries removed")


def from_profiles(log: Path, tenant: str, traces: list[bytes], where: str) -> int | None:
    """Entries that were removed; None where no profiles were named, nor are any beside the log."""
    from cascade.profiles.forget import forget_traces
    from cascade.profiles.opening import beside, open_profiles

    if not where and not beside(log).is_dir():
        return None
    store = open_profiles(where or str(beside(log)))
    try:
        return forget_traces(store, tenant, traces)
    finally:
        store.close()


class Version(NamedTuple):
    """One of a tenant's rankers, and what its manifest says of its data; None where it is broken."""

    ranker: str
    version: str
    serves: bool
    data: "Mapping[str, Any] | None"


def versions(store: Path, tenant: str) -> "Iterator[Version]":
    """All that the store has of the tenant; none where it does not know them, as where logs were imported.

    To be read before anything is removed: afterwards nobody could ask which models knew the person.

    Raises:
        NotFound: if there is no such store.
    """
    from cascade.store import DirectoryStore
    from cli.status import existing

    shelf = DirectoryStore(existing(store))
    for ranker in shelf.rankers(tenant) if tenant in shelf.tenants() else ():
        promoted = shelf.promotion(tenant, ranker).version
        for version in shelf.versions(tenant, ranker):
            yield Version(ranker, version, version == promoted, data_of(shelf.path(tenant, ranker, version)))


def data_of(bundle: Path) -> "Mapping[str, Any] | None":
    """What a manifest says of its data; a broken one keeps nobody from being forgotten."""
    from cascade.manifest import read_manifest
    from features.errors import SluiceError

    try:
        return read_manifest(bundle).manifest.data
    except SluiceError:
        return None


def trained_with(known: "list[Version]", gone: "Forgotten") -> "Iterator[dict[str, Any]]":
    """Versions of the tenant's rankers whose data held the person's events, or that do not say."""
    from cascade.eventlog.windows import trained_on

    for one in known:
        silent = "names no data window" if one.data is not None else "cannot be read"
        learned = None if one.data is None else trained_on(one.data, gone.first_us, gone.last_us)
        if learned is not False:
            told = "yes" if learned else f"its manifest {silent}"
            yield {"ranker": one.ranker, "version": one.version, "serves": one.serves, "trained": told}


def show(gone: "Forgotten", models: list[dict[str, Any]]) -> None:
    """A sentence, and a table of the models if there are any."""
    from cli.check import table

    if not gone.last_us:
        told = "nothing of this person is in the log, so that models that learned from them cannot be told"
        err.print(told, highlight=False, soft_wrap=True)
        return
    typer.echo(
        f"removed {gone.impressions} impressions and {gone.interactions} interactions from {gone.files} files"
    )
    if models:
        rows = [
            (one["ranker"], one["version"], "yes" if one["serves"] else "", one["trained"]) for one in models
        ]
        out.print(table("models of that time", ("ranker", "version", "serves", "trained with them"), rows))
