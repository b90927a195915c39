"""`sluice promote`: let a published version serve, if the gate agrees."""

from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from cascade.names import DEFAULT
from cli.console import err, note
from cli.options import Expected, Ranker, Store, Tenant

if TYPE_CHECKING:
    from cascade.store import DirectoryStore
    from training.gate import Decision

WAY_OUT = (
    "way out: `sluice evaluate --collection DIR --version NEW --against SERVING --json FILE`, or `sluice"
    " evaluate --log DIR --version NEW --json FILE`, then `sluice promote … --evaluation FILE`; or `--force"
    " --reason TEXT`, which is recorded"
)


def command(
    store: Store,
    tenant: Tenant,
    version: Annotated[str, typer.Option(help="The version to promote (see `sluice list`).", metavar="V")],
    ranker: Ranker = DEFAULT,
    expected: Expected = None,
    evaluation: Annotated[
        list[Path] | None,
        typer.Option(
            help="From `sluice evaluate --json`, on labels and on a log, and `experiment status --json`.",
            metavar="FILE",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Against the gate too; it is recorded.")] = False,
    reason: Annotated[str, typer.Option(help="Why it is forced, for the record.")] = "",
    approve: Annotated[
        bool,
        typer.Option("--approve", help="Only keep that the gate agrees: then `Rankers.Promote` may."),
    ] = False,
) -> None:
    """Let a published version serve, if the gate agrees, and print it.

    The gate wants golden scores that reproduce, latency like that of the version that serves, features that
    have not drifted, every arm of an experiment seen, and to be better by the lower end of an interval, on
    labels or on a log. The first version has nothing to be better than. Exit 1 where the gate refuses.
    """
    from cascade.promotion import Record, check
    from cascade.store import DirectoryStore

    shelf = DirectoryStore(store)
    shelf.path(tenant, ranker, version)
    before = shelf.promotion(tenant, ranker)
    check(before, expected)
    if version == before.version:
        typer.echo(version)
        return
    decision = ask(shelf, tenant, ranker, version, before.version, evaluation or [])
    tell(decision, force and not approve)
    if not decision.passed and (approve or not force):
        raise typer.Exit(1)
    record = Record(
        version=version,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        against=before.version,
        forced=not decision.passed,
        reason=reason,
        refusals=decision.reasons,
        grounds=decision.notes if decision.passed else (),
    )
    if approve:
        shelf.approve(tenant, ranker, record)
    else:
        shelf.promote(tenant, ranker, version, before.version, record)
    typer.echo(version)


def ask(
    shelf: "DirectoryStore", tenant: str, ranker: str, version: str, current: str, files: list[Path]
) -> "Decision":
    """What the gate says of a version that is to take another one's place."""
    from training.evidence import gather
    from training.gate import Limits, decide

    candidate = shelf.path(tenant, ranker, version)
    serving = candidate.with_name(current) if current else None
    evidence = gather(candidate, serving, ranker, files, perf_counter)
    return decide(evidence, Limits())


def tell(decision: "Decision", force: bool) -> None:
    """Reasons and notes, a line each, on standard error: standard output is the version alone."""
    for told in decision.notes:
        note(told)
    for why in decision.reasons:
        err.print(f"- {why}", style="red", markup=False, highlight=False, soft_wrap=True)
    if decision.reasons:
        last = "promoted nevertheless (--force), and recorded" if force else f"not promoted; {WAY_OUT}"
        err.print(last, style="red", markup=False, highlight=False, soft_wrap=True)
