"""`sluice forget`: remove a person, and say which models learned from them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import err, out
from cli.options import Json, Tenant

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    traces = traces_of(home_of(log, tenant), user)
    gone = forget(home_of(log, tenant), user)
    erased = from_profiles(log, tenant, traces, profiles)
    models = list(trained_with(store, tenant, gone)) if store and gone.last_us else []
    if json:
        import msgspec

        told = {"removed": gone, "profiles": erased, "models": models}
        typer.echo(msgspec.json.format(msgspec.json.encode(told), indent=2))
        return
    show(gone, models)
    if erased:
        typer.echo(f"removed {erased} entries of profiles")


def from_profiles(log: Path, tenant: str, traces: list[bytes], where: str) -> int:
    """Entries that were removed; 0 where no profiles are kept."""
    from cascade.profiles.forget import forget_traces
    from cascade.profiles.opening import beside, open_profiles

    if not where and not beside(log).is_dir():
        return 0
    store = open_profiles(where or str(beside(log)))
    try:
        return forget_traces(store, tenant, traces)
    finally:
        store.close()


def trained_with(store: Path, tenant: str, gone: "Forgotten") -> "Iterator[dict[str, Any]]":
    """Versions of the tenant's rankers whose data held the person's events, or that do not say."""
    from cascade.eventlog.windows import trained_on
    from cascade.manifest import read_manifest
    from cascade.store import DirectoryStore

    shelf = DirectoryStore(store)
    for ranker in shelf.rankers(tenant):
        promoted = shelf.promotion(tenant, ranker).version
        for version in shelf.versions(tenant, ranker):
            data = read_manifest(shelf.path(tenant, ranker, version)).manifest.data
            learned = trained_on(data, gone.first_us, gone.last_us)
            if learned is not False:
                known = "yes" if learned else "its manifest names no data window"
                yield {"ranker": ranker, "version": version, "serves": version == promoted, "trained": known}


def show(gone: "Forgotten", models: list[dict[str, Any]]) -> None:
    """A sentence, and a table of the models if there are any."""
    from cli.check import table

    if not gone.last_us:
        err.print("nothing of this person is in the log", highlight=False)
        return
    typer.echo(
        f"removed {gone.impressions} impressions and {gone.interactions} interactions from {gone.files} files"
    )
    if models:
        rows = [
            (one["ranker"], one["version"], "yes" if one["serves"] else "", one["trained"]) for one in models
        ]
        out.print(table("models of that time", ("ranker", "version", "serves", "trained with them"), rows))
