"""`sluice documents`: a tenant's documents in the service, so that requests send ids alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import err, out, track
from cli.options import Json, Store

if TYPE_CHECKING:
    from cascade.documents import Table
    from cascade.documents.notes import TableNotes
    from cascade.documents.source import Source

app = typer.Typer(
    help="Keep a tenant's documents in the service: load | show | remove.", no_args_is_help=True
)

Whose = Annotated[str, typer.Option("--tenant", help="Whose documents.", metavar="NAME")]


@app.command()
def load(
    file: Annotated[Path, typer.Argument(help="Parquet, a row a document.", metavar="FILE")],
    store: Store,
    tenant: Whose,
    id_column: Annotated[
        str, typer.Option("--id", help="The column of the ids. [id or _id]", metavar="COLUMN")
    ] = "",
    upsert: Annotated[
        bool,
        typer.Option("--upsert", help="Beside the documents that are there, replacing those of the same id."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Though a promoted ranker cannot read a column.")
    ] = False,
    json: Json = False,
) -> None:
    """Load documents in the place of the whole table, or beside what is there (--upsert).

    Servers notice within a second; requests in flight finish on the table that they began with.
    """
    from cascade.documents import Documents
    from cascade.documents.source import open_source

    documents, source = Documents(store, tenant), open_source(file, id_column)
    check_fit(store, tenant, source, force)

    def watch(chunks: Iterator[Any]) -> Iterator[Any]:
        return iter(track(chunks, "loading", batches(source)))

    notes = (documents.upsert if upsert else documents.replace)(source, watch)
    show_table(notes, json)


@app.command()
def show(
    store: Store,
    tenant: Whose,
    ids: Annotated[
        list[str] | None, typer.Argument(help="Documents to print as JSON.", metavar="[ID…]")
    ] = None,
    json: Json = False,
) -> None:
    """What is in the table, or single documents of it."""
    import msgspec

    from cascade.documents import Documents

    table = Documents(store, tenant).table()
    if not ids:
        show_table(table.notes, json)
        return
    for row in rows_of(table, ids):
        typer.echo(msgspec.json.encode(row))


@app.command()
def remove(
    store: Store,
    tenant: Whose,
    ids: Annotated[list[str] | None, typer.Argument(help="Documents to take out.", metavar="[ID…]")] = None,
    file: Annotated[
        Path | None, typer.Option("--ids", help="A file of ids, one a line.", metavar="FILE")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="The table itself.")] = False,
) -> None:
    """Take documents out of the table, or remove it."""
    from cascade.documents import Documents
    from cascade.files import read_text
    from features.errors import InvalidInput

    documents = Documents(store, tenant)
    named = [*(ids or ()), *(read_text(file).split("\n") if file else ())]
    if everything == bool(named):
        raise InvalidInput("name documents, or a file of them, or --all, and only one of these")
    if everything:
        documents.drop()
        err.print(f"removed the document table of {tenant}")
        return
    typer.echo(documents.remove([name.strip() for name in named if name.strip()]))


def check_fit(store: Path, tenant: str, source: "Source", force: bool) -> None:
    """Say what promoted rankers will not find, and refuse what they cannot read.

    Raises:
        InvalidInput: for a column of a kind that a promoted ranker cannot read, unless forced.
    """
    from cascade.documents.fit import fit
    from cascade.store import DirectoryStore
    from features.errors import InvalidInput

    found = fit(DirectoryStore(store), tenant, source.columns)
    for ranker, names in found.absent.items():
        told = f"note: ranker {ranker} also reads {', '.join(names)}, which requests have to send"
        err.print(told, markup=False, highlight=False, soft_wrap=True)
    if found.wrong and not force:
        raise InvalidInput(f"{'; '.join(found.wrong)}; convert it, or --force")


def batches(source: "Source") -> int:
    """How many chunks a file is read in, about."""
    from cascade.documents.source import BATCH_ROWS

    return -(-source.rows // BATCH_ROWS)


def rows_of(table: "Table", ids: list[str]) -> Iterator[dict[str, Any]]:
    """Documents with their ids.

    Raises:
        NotFound: for one that is not there.
    """
    from features.errors import NotFound

    for name in ids:
        found = table.document(name)
        if found is None:
            raise NotFound(f"no document {name!r} in the table")
        yield {"id": name, **found}


def show_table(notes: "TableNotes", json: bool) -> None:
    """A row a column, and what the table comes to."""
    from cli.check import table

    if json:
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode(notes), indent=2))
        return
    size = sum(sum(part.sizes.values()) for part in notes.parts)
    told = f"{notes.rows:,} documents, {size / 1e6:,.1f} MB, parts: {len(notes.parts)}, {notes.written}"
    rows = [(name, str(column.kind), str(column.width or "")) for name, column in notes.columns.items()]
    out.print(told, highlight=False, markup=False, soft_wrap=True)
    out.print(table("", ("column", "kind", "elements"), rows))
