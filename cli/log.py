"""`sluice log`: look after the event log."""

from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import err, out, track
from cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Mapping

app = typer.Typer(help="Look after the event log: compact | stats.", no_args_is_help=True)

Log = Annotated[Path, typer.Option(help="Directory of the event log.", metavar="DIR")]
Whose = Annotated[str | None, typer.Option(help="Only this tenant's. [all]", metavar="NAME")]


@app.command()
def compact(
    log: Log,
    tenant: Whose = None,
    keep_days: Annotated[
        int | None,
        typer.Option(min=1, help="Remove events of days before the last N. [keep all]", metavar="N"),
    ] = None,
    json: Json = False,
) -> None:
    """Bring closed segments into Parquet by day, merge small files, drop repetitions and old days."""
    from datetime import UTC, datetime

    from cascade.eventlog.compact import compact as compact_home
    from cascade.eventlog.compact import expire
    from cascade.eventlog.layout import home_of

    rows: dict[str, Mapping[str, Any]] = {}
    for name in track(names(log, tenant), "compacting"):
        made = compact_home(home_of(log, name))
        expired = expire(home_of(log, name), oldest(datetime.now(UTC).date(), keep_days)) if keep_days else 0
        rows[name] = {key: getattr(made, key) for key in made.__struct_fields__} | {"expired_files": expired}
    show(rows, json)
    if any(row["damaged_bytes"] for row in rows.values()):
        err.print("warning: parts of segments were damaged and passed over; check the disk", style="yellow")


@app.command()
def stats(log: Log, tenant: Whose = None, json: Json = False) -> None:
    """Sizes, records and days of a log; records in segments are counted once they are compacted."""
    from cascade.eventlog.layout import home_of
    from cascade.eventlog.read import sizes

    show({name: asdict(sizes(home_of(log, name))) for name in names(log, tenant)}, json)


def names(log: Path, tenant: str | None) -> tuple[str, ...]:
    """The tenants to look after.

    Raises:
        NotFound: if there are none, or not the one.
    """
    from cascade.eventlog.layout import tenants
    from features.errors import NotFound

    there = tenants(log)
    if not there or (tenant is not None and tenant not in there):
        raise NotFound(f"no events of {tenant or 'anybody'} under {log}", path="--log")
    return (tenant,) if tenant else there


def oldest(today: date, keep_days: int) -> str:
    """The first of the last so many days."""
    return (today - timedelta(days=keep_days - 1)).isoformat()


def show(rows: "Mapping[str, Mapping[str, Any]]", json: bool) -> None:
    """A column a tenant, or JSON."""
    from cli.check import table

    if json:
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
        return
    keys = next(iter(rows.values()))
    cells = [(key.replace("_", " "), *(cell(row[key]) for row in rows.values())) for key in keys]
    out.print(table("event log", ("", *rows), cells))


def cell(value: Any) -> str:
    """A number with its thousands apart."""
    return f"{value:,}" if isinstance(value, int) else str(value)
