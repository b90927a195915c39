"""`sluice profiles`: what is remembered of people, items and queries."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import out, track
from cli.options import Json, Tenant

if TYPE_CHECKING:
    from cascade.profiles.owner import Profile
    from cascade.profiles.rules import Rules
    from cascade.profiles.store import ProfileStore
    from serving.settings import Settings

app = typer.Typer(help="Look after the profiles: show | rebuild.", no_args_is_help=True)

Log = Annotated[Path, typer.Option(help="Directory of the event log.", metavar="DIR")]
Where = Annotated[
    str, typer.Option(help="Their directory, or the URL of a Redis. [LOG-profiles]", metavar="DIR|URL")
]
SettingsFile = Annotated[
    Path | None, typer.Option(help="The server's settings, if it has other rules.", metavar="FILE")
]


@app.command()
def rebuild(
    log: Log, tenant: Tenant, profiles: Where = "", settings: SettingsFile = None, json: Json = False
) -> None:
    """Forget a tenant's profiles, and learn them anew from the whole event log; servers may go on
    meanwhile."""
    from cascade.profiles.follow import agree
    from cli.log import names

    names(log, tenant)
    configured = configuration(settings)
    rules = configured.profiles.rules
    store = opened(log, profiles, configured)
    store.clear(tenant)
    agree(store, tenant, rules)
    learned = sum(track(learning(log, store, tenant, rules), "learning events in batches"))
    store.close()
    if json:
        import msgspec

        typer.echo(msgspec.json.encode({"tenant": tenant, "events": learned}).decode())
    else:
        typer.echo(f"learned {learned:,} events of {tenant}")


@app.command()
def show(
    user: Annotated[str, typer.Option(help="Whose profile.", metavar="ID")],
    log: Log,
    tenant: Tenant,
    profiles: Where = "",
    settings: SettingsFile = None,
    json: Json = False,
) -> None:
    """What is known of a person: counts as of now, by item and by field value."""
    import time

    from cascade.profiles.keys import USER, key_of
    from cascade.profiles.owner import decode

    configured = configuration(settings)
    store = opened(log, profiles, configured)
    now_us, rules = int(time.time() * 1e6), configured.profiles.rules
    (value,) = store.read(tenant, [key_of(USER, user)])
    rows = list(rows_of(decode(value, now_us, rules.ttl_us), now_us, rules))
    store.close()
    if json:
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
        return
    from cli.check import table

    heads = ("of", "name", *(key for key in (rows[0] if rows else {}) if key not in ("of", "name")))
    shown = [(row["of"], row["name"], *(f"{row[key]:.2f}" for key in heads[2:])) for row in rows]
    out.print(table(f"{user}, decayed counts (long window)", heads, shown))


def learning(log: Path, store: "ProfileStore", tenant: str, rules: "Rules") -> Iterator[int]:
    """Events learned, batch by batch, until there are no more."""
    from cascade.eventlog.layout import home_of
    from cascade.profiles.follow import advance

    while learned := advance(home_of(log, tenant), store, tenant, rules):
        yield learned


def rows_of(profile: "Profile", now_us: int, rules: "Rules") -> Iterator[dict[str, Any]]:
    """A row for the whole, then the items and values that weigh most."""
    from cascade.profiles.tally import faded, weight
    from features.behaviour import SIGNALS

    def row(of: str, name: str, tally: bytes) -> dict[str, Any]:
        found = faded([tally], now_us, rules, rules.ttl_us)
        counts = {signal: float(found.of(signal, "long")[0]) for signal in SIGNALS}
        return {"of": of, "name": name, **counts}

    yield row("user", "", profile.totals)
    shelves = {"item": profile.items, **profile.fields}
    for of, shelf in shelves.items():
        best = sorted(shelf.entries, key=lambda name: -weight(shelf.entries[name], now_us, rules))[:20]
        yield from (row(of, name, shelf.entries[name]) for name in best)


def configuration(file: Path | None) -> "Settings":
    """The server's settings, or what they are without a file."""
    from serving.settings import load_settings

    return load_settings(file, {})


def opened(log: Path, where: str, settings: "Settings") -> "ProfileStore":
    """The store that is named, or that the settings name, or the one beside the log.

    Raises:
        NotFound: if there is no such folder.
    """
    from cascade.profiles.opening import beside, is_redis, open_profiles
    from features.errors import NotFound

    mine = settings.profiles
    place = where or (mine.url if mine.kind == "redis" else mine.path) or str(beside(log))
    if not is_redis(place) and not Path(place).parent.is_dir():
        raise NotFound(f"no directory {Path(place).parent}", path="--profiles")
    return open_profiles(place, max_gb=mine.max_gb)
