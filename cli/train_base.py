"""`sluice train-base`: one base over the collections of the tenants that agreed to share."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cascade.names import DEFAULT
from cli.console import err, note, out, track
from cli.options import Ranker, Store
from cli.train_tenants import By, Candidates, Collection, Collections, Queries, members_of


def command(
    store: Store,
    tenant: Annotated[str, typer.Option(help="Whose ranker the base is.", metavar="NAME")],
    config: Annotated[Path, typer.Option(help="The cascade.toml to fit.")],
    collections: Collections = None,
    collection: Collection = None,
    by: By = "",
    queries: Queries = "",
    ranker: Ranker = DEFAULT,
    candidates: Candidates = "judged",
    parts: Annotated[
        int,
        typer.Option(
            help="Fit it again without each of so many parts of the tenants, so that those can be judged"
            " against a base that has not seen their labels; 0 = they cannot borrow.",
            min=0,
        ),
    ] = 3,
    seed: Annotated[int, typer.Option(help="Of the splits.")] = 7,
    promote: Annotated[bool, typer.Option("--promote", help="Let it serve at once.")] = False,
) -> None:
    """Fit one base over the collections of the tenants that agreed to share, and publish it.

    A tenant agrees by the setting share_with_base (`sluice tenants`); nobody else's data is read. The
    manifest lists whose labels went in. `sluice train --base` and `sluice train-tenants` borrow from it.
    """
    from cascade.config import parse_config
    from cascade.files import read_text
    from cascade.names import check_name
    from cascade.store import DirectoryStore
    from cascade.tenants import Tenants
    from cascade.unasked import promote_unasked
    from cli.train import table
    from features.errors import InvalidInput
    from training.borrowing.pool import pooled, sharing, train_base
    from training.publish import Target, Task
    from training.trainers import Context

    target = Target(DirectoryStore(store), check_name(tenant, "--tenant"), check_name(ranker, "--ranker"))
    declared = parse_config(read_text(config))
    agreed, others = sharing(members_of(collections, collection, by, queries), Tenants(store))
    if others:
        err.print(
            f"{len(others)} tenants do not share (share_with_base): {', '.join(others[:10])}", style="yellow"
        )
    if not agreed:
        raise InvalidInput(
            "no tenant shares; see `sluice tenants set NAME --share-with-base`", path="share_with_base"
        )
    pool = pooled({each.tenant: each.collection() for each in agreed})
    task = Task(declared, pool.collection, candidates)
    now = datetime.now(UTC)
    version, trained, sources = train_base(task, pool, parts, target, Context(seed, track), now)
    notes = trained.notes
    if promote:
        notes += promote_unasked(target.store, tenant, ranker, version, "sluice train-base", now)
    for told in notes:
        note(told)
    out.print(table(trained))
    learned = ", ".join(f"{each.tenant} ({each.queries})" for each in sources)
    out.print(f"learned from {learned}", highlight=False, markup=False)
    out.print(f"published {tenant}/{ranker}@{version}{' and promoted' if promote else ''}", highlight=False)
