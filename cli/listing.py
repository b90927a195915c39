"""`sluice list`: what lies in a store, and what of it serves."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cli.check import table
from cli.console import out
from cli.options import Json, Store
from cli.tables import minute

if TYPE_CHECKING:
    from cascade.store import DirectoryStore


class Row(msgspec.Struct, frozen=True):
    """One version of one ranker. `problem` says why its manifest cannot be read."""

    tenant: str
    ranker: str
    version: str
    promoted: bool
    created: str
    metrics: dict[str, float]
    problem: str = ""


def command(
    store: Store,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.", metavar="NAME")] = None,
    json: Json = False,
) -> None:
    """List tenants, rankers and versions (oldest first), and which version serves."""
    from cascade.store import DirectoryStore

    shelf = DirectoryStore(store)
    rows = [row for each in ([tenant] if tenant else shelf.tenants()) for row in rows_of(shelf, each)]
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
        return
    heads = ("tenant", "ranker", "version", "serves", "created (UTC)", "main metric")
    out.print(table(f"{store}", heads, [cells(row) for row in rows]))


def rows_of(store: "DirectoryStore", tenant: str) -> Iterator[Row]:
    """A row a version."""
    for ranker in store.rankers(tenant):
        promoted = store.promotion(tenant, ranker).version
        for version in store.versions(tenant, ranker):
            yield row_of(store, tenant, ranker, version, version == promoted)


def row_of(store: "DirectoryStore", tenant: str, ranker: str, version: str, promoted: bool) -> Row:
    """One version; a manifest that cannot be read is told rather than raised, as the others still stand."""
    from cascade.manifest import read_manifest
    from features.errors import SluiceError

    try:
        manifest = read_manifest(store.path(tenant, ranker, version)).manifest
    except SluiceError as error:
        return Row(tenant, ranker, version, promoted, "", {}, str(error))
    created = manifest.created.isoformat(timespec="seconds")
    return Row(tenant, ranker, version, promoted, created, manifest.metrics)


def cells(row: Row) -> tuple[str, ...]:
    """A row of the table."""
    main = row.problem or next((f"{name} {value:.4f}" for name, value in row.metrics.items()), "")
    promoted = "yes" if row.promoted else ""
    return (row.tenant, row.ranker, row.version, promoted, minute(row.created), main)
