"""`sluice train-tenants`: a ranker for each of many tenants, borrowed from one base."""

from collections.abc import Sequence
from datetime import UTC, datetime
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cascade.names import DEFAULT
from cli.console import err, out, track
from cli.options import AllowPrivate, Ranker, Store

if TYPE_CHECKING:
    from training.borrowing.members import Member
    from training.borrowing.run import Job, Outcome

FROM_BASE = "Ranker to borrow from: TENANT[/RANKER[@VERSION]]."
Collections = Annotated[
    Path | None,
    typer.Option(
        help="Folder with a folder for each tenant, each a collection named after it.", metavar="DIR"
    ),
]
Collection = Annotated[
    Path | None,
    typer.Option(help="Instead: one collection of several tenants, cut --by a field.", metavar="DIR"),
]
By = Annotated[
    str, typer.Option(help="The queries' field that names the tenant, with --collection.", metavar="FIELD")
]
Queries = Annotated[str, typer.Option(help="NAME in queries.NAME.jsonl; the unnamed without it.")]
Candidates = Annotated[str, typer.Option(help="judged, bm25:K, or a TREC run file.")]


def command(
    store: Store,
    base: Annotated[str, typer.Option(help=FROM_BASE, metavar="NAME")],
    work: Annotated[Path, typer.Option(help="Folder of the run's state: the same command goes on there.")],
    collections: Collections = None,
    collection: Collection = None,
    by: By = "",
    queries: Queries = "",
    config: Annotated[
        Path | None, typer.Option(help="The tenants' own cascade.toml; the base's unless given.")
    ] = None,
    ranker: Ranker = DEFAULT,
    candidates: Candidates = "judged",
    seed: Annotated[int, typer.Option(help="Of the splits into folds.")] = 7,
    jobs: Annotated[int, typer.Option(help="Tenants at a time; 0 = one a core.", min=0)] = 0,
    promote: Annotated[bool, typer.Option("--promote", help="Let the new versions serve at once.")] = False,
    allow_private_base: AllowPrivate = False,
    json: Annotated[Path | None, typer.Option(help="Write what came of every tenant to this file.")] = None,
) -> None:
    """Fit a ranker for each of many tenants, borrowing from one base, and publish them.

    A tenant gets the base as it is, the base plus residual trees of its own, or a ranker of its own, as its
    held-out queries choose. Tenants that are done are skipped when the command is run again. One that fails
    stops nobody else; exit status 1 if any did.
    """
    import msgspec

    from training.borrowing.parallel import train_all
    from training.borrowing.told import as_json

    job = job_of(store, base, config, ranker, candidates, seed, promote)
    members = members_of(collections, collection, by, queries)
    job = consented(job, [member.tenant for member in members], allow_private_base)
    found = list(
        track(train_all(members, job, work, jobs or cpu_count() or 1), "training tenants", len(members))
    )
    show(found)
    if json:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(as_json(job.base, found)), indent=2))
    if any(each.kind == "failed" for each in found):
        raise typer.Exit(1)


def job_of(
    store: Path, base: str, config: Path | None, ranker: str, candidates: str, seed: int, promote: bool
) -> "Job":
    """What is the same for all tenants, checked before the first one is fitted."""
    from cascade.config import parse_config
    from cascade.files import read_text
    from cascade.names import check_name
    from training.borrowing.run import Job, opened_base

    source = read_text(config) if config else ""
    if source:
        parse_config(source)
    return Job(
        store=str(store),
        base=opened_base(str(store), base).name,
        ranker=check_name(ranker, "--ranker"),
        config=source,
        candidates=candidates,
        seed=seed,
        promote=promote,
        now=datetime.now(UTC),
    )


def consented(job: "Job", borrowers: "Sequence[str]", allowed: bool) -> "Job":
    """The run, knowing which of the base's sources do not share.

    Raises:
        InvalidInput: if any does not, unless that is allowed.
    """
    from msgspec.structs import replace

    from cascade.consent import check_consent
    from cascade.tenants import Tenants
    from training.borrowing.run import opened_base

    sources = [source.tenant for source in opened_base(job.store, job.base).sources]
    return replace(
        job, private=check_consent(Tenants(Path(job.store)), job.base, sources, borrowers, allowed)
    )


def members_of(
    collections: Path | None, collection: Path | None, by: str, queries: str
) -> "tuple[Member, ...]":
    """The tenants of a run.

    Raises:
        InvalidInput: unless one of the two ways to name them is used.
    """
    from features.errors import InvalidInput
    from training.borrowing.members import by_field, in_folder

    if collections and not collection and not by:
        return in_folder(collections, queries)
    if collection and by and not collections:
        return by_field(collection, queries, by)
    raise InvalidInput("give --collections DIR, or --collection DIR with --by FIELD")


def show(found: "Sequence[Outcome]") -> None:
    """A table of kinds, and the failures with their reasons."""
    from cli.check import table
    from training.borrowing.told import SHOWN, summary

    rows = [
        (
            line.kind,
            f"{line.tenants:,}",
            f"{line.queries:,.0f}",
            "" if line.gain is None else f"{line.gain:+.4f}",
        )
        for line in summary(found)
    ]
    heads = ("ranker", "tenants", "queries each", "nDCG@10 over the base, held out")
    out.print(table("What tenants got", heads, rows))
    failures = [each for each in found if each.kind == "failed"]
    for each in failures[:SHOWN]:
        reason = "; ".join(each.reasons)
        err.print(f"{each.tenant}: {reason}", style="red", markup=False, highlight=False, soft_wrap=True)
    if len(failures) > SHOWN:
        err.print(f"and {len(failures) - SHOWN} more failures (--json FILE has them all)", style="red")
