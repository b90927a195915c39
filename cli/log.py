"""`sluice log`: look after the event log."""

from dataclasses import asdict, fields
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import err, out, track
from cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

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
    """Bring closed segments into Parquet by day, merge small files, drop repetitions and old days.

    A file that cannot be read holds up its own tenant alone, and no old day; exit status 2 then.
    """
    from datetime import UTC, datetime

    from cascade.eventlog.layout import home_of

    day = oldest(datetime.now(UTC).date(), keep_days) if keep_days else ""
    rows = {name: compacted(home_of(log, name), day) for name in track(names(log, tenant), "compacting")}
    show(rows, json)
    if any(row["damaged_bytes"] for row in rows.values()):
        err.print("warning: parts of segments were damaged and passed over; check the disk", style="yellow")
    end(rows)


@app.command()
def stats(log: Log, tenant: Whose = None, json: Json = False) -> None:
    """Sizes, records and days of a log; records in segments are counted once they are compacted."""
    from cascade.eventlog.layout import home_of
    from cascade.eventlog.read import Sizes, sizes

    keys = [each.name for each in fields(Sizes)]
    rows = {
        name: attempt(lambda home: asdict(sizes(home)), home_of(log, name), keys)
        for name in names(log, tenant)
    }
    show(rows, json)
    end(rows)


def compacted(home: Path, day: str) -> dict[str, Any]:
    """What became of one tenant's log; days before `day` go ("" = none), whatever became of the others."""
    from msgspec.structs import asdict as as_row

    from cascade.eventlog.compact import Compacted, compact, expire

    row = attempt(lambda there: as_row(compact(there)), home, Compacted.__struct_fields__)
    return row | {"expired_files": expire(home, day) if day else 0}


def attempt(work: "Callable[[Path], dict[str, Any]]", home: Path, keys: "Iterable[str]") -> dict[str, Any]:
    """What `work` tells of a tenant's log, and "" as its `problem`; where it fails, the `problem` and
    unknown figures, as the other logs still stand."""
    from features.errors import SluiceError

    try:
        return work(home) | {"problem": ""}
    except SluiceError as error:
        return dict.fromkeys(keys) | {"problem": str(error)}


def end(rows: "Mapping[str, Mapping[str, Any]]") -> None:
    """Name every problem, and end with status 2 if there is one."""
    problems = [f"sluice: {name}: {row['problem']}" for name, row in rows.items() if row["problem"]]
    for problem in problems:
        err.print(problem, style="red", markup=False, highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(2)


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
    keys = [key for key in next(iter(rows.values())) if key != "problem"]
    cells = [(key.replace("_", " "), *(cell(row[key]) for row in rows.values())) for key in keys]
    out.print(table("event log", ("", *rows), cells))


def cell(value: Any) -> str:
    """A number with its thousands apart; what is not known is a dash."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)
