"""`sluice import`: other programs' logs into the event log."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import err, out, track
from cli.options import Json, Tenant

if TYPE_CHECKING:
    from cascade.eventlog.writer import LogWriter
    from cascade.events import Event

BATCH = 2_000
BATCH_BYTES = 32 << 20


def command(
    files: Annotated[list[Path], typer.Argument(help="Files of events, plain or gzipped.", metavar="FILE…")],
    format_: Annotated[
        str, typer.Option("--format", help="metarank, ubi, jsonl or parquet.", metavar="FORMAT")
    ],
    log: Annotated[Path, typer.Option(help="Directory of the event log.", metavar="DIR")],
    tenant: Tenant,
    column: Annotated[
        list[str] | None,
        typer.Option(help="A field of jsonl or parquet that has another name.", metavar="OURS=THEIRS"),
    ] = None,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Leave out wrong records, and count them.")
    ] = False,
    json: Json = False,
) -> None:
    """Import events, so that existing logs train a ranker; a file that is imported twice counts once."""
    from cascade.eventlog.compact import compact
    from cascade.eventlog.layout import home_of
    from features.errors import InvalidInput
    from training.events.importers import FORMATS
    from training.events.importers.shared import Problems

    if format_ not in FORMATS:
        raise InvalidInput(f"no format {format_!r}; there are {', '.join(FORMATS)}", path="--format")
    problems = Problems(strict=not lenient)
    home_of(log, tenant)
    accepted, repeated = write(log, tenant, FORMATS[format_](files, renames(column or []), problems))
    made = compact(home_of(log, tenant))
    report = {
        "imported": accepted,
        "repeated": repeated + made.duplicates,
        "left_out": dict(problems.left_out),
        "examples": problems.examples,
    }
    show(report, json)


def write(log: Path, tenant: str, events: "Iterable[Event]") -> tuple[int, int]:
    """(events written, repetitions noticed)."""
    import time
    import uuid

    from cascade.eventlog.writer import LogWriter

    writer = LogWriter(log, clock=time.time, new_id=lambda: uuid.uuid4().hex)
    try:
        return written(writer, tenant, events)
    finally:
        writer.close()


def written(writer: "LogWriter", tenant: str, events: "Iterable[Event]") -> tuple[int, int]:
    """The same, each batch on the disk before the next is read."""
    accepted = repeated = 0
    for batch in batches(track(events, "importing")):
        receipt = writer.append(tenant, batch)
        receipt.durable.result()
        accepted, repeated = accepted + receipt.accepted, repeated + receipt.duplicate
    return accepted, repeated


def batches(events: "Iterable[Event]") -> Iterator[list["Event"]]:
    """Lists of some thousand, or of as many as are some megabytes: a file of the log takes a whole one."""
    from cascade.eventlog.codec import encode

    batch: list[Event] = []
    size = 0
    for event in events:
        batch.append(event)
        size += len(encode(event))
        if len(batch) == BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def renames(columns: Iterable[str]) -> dict[str, str]:
    """Our name → theirs.

    Raises:
        InvalidInput: for what is not OURS=THEIRS.
    """
    from features.errors import InvalidInput

    pairs = [each.partition("=") for each in columns]
    for ours, equals, theirs in pairs:
        if not (ours and equals and theirs):
            raise InvalidInput(f"{ours!r} is not OURS=THEIRS", path="--column")
    return {ours: theirs for ours, _, theirs in pairs}


def show(report: dict[str, object], json: bool) -> None:
    """What was imported on standard output, what was left out on standard error."""
    import msgspec

    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))
        return
    out.print(f"{report['imported']:,} events imported, {report['repeated']:,} repetitions", highlight=False)
    left_out = report["left_out"]
    assert isinstance(left_out, dict)  # noqa: S101 (made above)
    for why, count in left_out.items():
        err.print(f"left out: {count:,} {why}", highlight=False)
    for example in report["examples"]:  # type: ignore[attr-defined]
        err.print(f"  {example}", markup=False, highlight=False)
