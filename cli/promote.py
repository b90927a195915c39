"""`sluice promote`: let a published version serve."""

from typing import Annotated

import typer

from cascade.names import DEFAULT
from cli.options import Expected, Ranker, Store, Tenant


def command(
    store: Store,
    tenant: Tenant,
    version: Annotated[str, typer.Option(help="The version to promote (see `sluice list`).", metavar="V")],
    ranker: Ranker = DEFAULT,
    expected: Expected = None,
) -> None:
    """Let a published version serve, and print it."""
    from cascade.store import DirectoryStore

    DirectoryStore(store).promote(tenant, ranker, version, expected)
    typer.echo(version)
