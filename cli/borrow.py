"""`sluice train --base`: what a tenant gets of a base, base plus residual and a ranker of its own."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cli.console import note, out

if TYPE_CHECKING:
    from cascade.tenants import Tenants
    from training.borrowing.choose import Choice
    from training.publish import Target, Task
    from training.trainers import Context

SHOWN = {"base": "the base", "residual": "base + residual", "own": "its own"}


@dataclass(frozen=True, slots=True)
class Then:
    """What is done with the published version, and where its figures are written.

    Attributes:
        allow_private: whether a base may have learned from tenants that do not share.
    """

    promote: bool
    json: Path | None
    allow_private: bool = False


def borrow(
    task: "Task", target: "Target", base: str, tenants: "Tenants", context: "Context", then: Then
) -> None:
    """Fit all three, let held-out queries choose, publish, and show the figures of each."""
    import msgspec

    from cascade.consent import check_consent
    from cascade.unasked import promote_unasked
    from training.borrowing.base import open_base
    from training.borrowing.borrow import borrow_and_publish, entry
    from training.borrowing.choose import Settings

    lender = open_base(target.store, base)
    sources = [source.tenant for source in lender.sources]
    private = check_consent(tenants, lender.name, sources, [target.tenant], then.allow_private)
    lender = replace(lender, private=private)
    now = datetime.now(UTC)
    made = borrow_and_publish(task, target, lender, Settings(), context, now)
    notes = made.notes
    if then.promote:
        key = target.tenant, target.ranker, made.version
        notes += promote_unasked(target.store, *key, "sluice train --base", now)
    for told in notes:
        note(told)
    show(made.choice, lender.name)
    told = " and promoted" if then.promote else ""
    out.print(f"published {target.tenant}/{target.ranker}@{made.version}{told}", highlight=False)
    if then.json:
        found = {"version": made.version, "promoted": then.promote, "borrowing": entry(lender, made.choice)}
        then.json.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2))


def show(choice: "Choice", base: str) -> None:
    """The three with their intervals, the chosen one marked, and why."""
    from cli.check import table

    rows = [
        (
            f"{'*' if kind == choice.kind else ''}{SHOWN[kind]}",
            f"{figure.mean:.4f}",
            f"{figure.low:.4f} to {figure.high:.4f}",
            f"{choice.gains[kind].mean:+.4f}" if kind in choice.gains else "",
        )
        for kind, figure in choice.figures.items()
    ]
    title = f"{choice.queries} judged queries, held out in turn (* chosen; the base is {base})"
    if rows:
        out.print(table(title, ("ranker", "nDCG@10", "95 %", "over the base"), rows))
    for reason in choice.reasons:
        out.print(reason, highlight=False, markup=False, soft_wrap=True)
    out.print(f"chosen: {SHOWN[choice.kind]}", highlight=False)
