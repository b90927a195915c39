"""`sluice publish`: a bundle into a store."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cascade.names import DEFAULT
from cli.console import err, note
from cli.options import Ranker, Store, Tenant


def command(
    bundle: Annotated[Path, typer.Argument(help="Directory of the bundle.", metavar="BUNDLE")],
    store: Store,
    tenant: Tenant,
    ranker: Ranker = DEFAULT,
    promote: Annotated[bool, typer.Option("--promote", help="Let it serve at once.")] = False,
) -> None:
    """Copy a bundle into the store, every digest verified, and print its version."""
    from cascade.store import DirectoryStore
    from cascade.unasked import promote_unasked

    shelf = DirectoryStore(store)
    version = shelf.publish(tenant, ranker, bundle)
    if promote:
        for told in promote_unasked(shelf, tenant, ranker, version, "sluice publish", datetime.now(UTC)):
            note(told)
    typer.echo(version)
    err.print(f"{'published and promoted' if promote else 'published'} for {tenant}/{ranker}")
