"""`sluice rollback`: let the version before serve again."""

import typer

from cascade.names import DEFAULT
from cli.options import Expected, Ranker, Store, Tenant


def command(store: Store, tenant: Tenant, ranker: Ranker = DEFAULT, expected: Expected = None) -> None:
    """Let the version that served before serve again, and print it."""
    from cascade.store import DirectoryStore

    typer.echo(DirectoryStore(store).rollback(tenant, ranker, expected))
