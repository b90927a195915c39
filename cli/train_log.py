"""`sluice train --log`: from what people did to a published version, with its figures."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.borrow import Then
from cli.console import note, out

if TYPE_CHECKING:
    from rich.table import Table

    from training.from_log.task import Learned, LogTask
    from training.publish import Target
    from training.trainers import Context

COUNTED = (
    "pages", "pages_clicked", "impressions", "interactions", "joined", "late", "orphan", "bot_pages", "bot",
    "duplicate_impressions", "duplicate_interactions", "outside", "not_shown", "beyond_page", "skewed",
    "broken_pages", "bad_dwell", "capped_dwell",
)  # fmt: skip


def train_log(task: "LogTask", target: "Target", context: "Context", then: Then) -> None:
    """Learn, publish, show, write; promote only where that was asked for."""
    import msgspec

    from cascade.unasked import promote_unasked
    from training.from_log.publish import learn_and_publish

    now = datetime.now(UTC)
    version, learned = learn_and_publish(task, target, context, now)
    notes = learned.notes
    if then.promote:
        notes += promote_unasked(
            target.store, target.tenant, target.ranker, version, "sluice train --log", now
        )
    for told in notes:
        note(told)
    out.print(events(learned))
    out.print(table(learned))
    out.print(places(learned), markup=False, highlight=False, soft_wrap=True)
    told = " and promoted" if then.promote else "; `sluice promote` asks the gate"
    out.print(f"published {target.tenant}/{target.ranker}@{version}{told}", highlight=False, soft_wrap=True)
    if then.json:
        found = as_json(version, then.promote, learned)
        then.json.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2))


def events(learned: "Learned") -> "Table":
    """What became of the events of the window; kinds that did not occur are left out."""
    from cli.check import table as plain

    log = learned.data["log"]
    rows = [(name.replace("_", " "), f"{log[name]:,}") for name in COUNTED if log[name]]
    rows += [(f"pages {why}", f"{count:,}") for why, count in log["left_out"].items() if count]
    rows.append(
        ("pages learned from", f"{log['used_pages']:,}, {log['telling_pages']:,} with clicks to learn from")
    )
    window = learned.data["data_window"]
    made: Table = plain(f"Events, {window['since'][:19]} to {window['until'][:19]} UTC", ("", ""), rows)
    return made


def table(learned: "Learned") -> "Table":
    """A row a stage: the estimate on held-out pages, what was done with it, seconds."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    held = learned.data["held_out"]
    shown = Table(
        title="Held-out pages, after each stage: an estimate from clicks",
        caption=f"{held['pages']:,} pages held out by {held['split']}, {held['telling_pages']:,} with clicks",
        box=SIMPLE_HEAD,
    )
    for head in ("stage", learned.metric, "", "fitted", "seconds"):
        number = head in (learned.metric, "seconds")
        shown.add_column(head, justify="right" if number else "left", no_wrap=number)
    shown.add_row("as shown", f"{learned.as_shown:.4f}", "", "", "")
    for stage in learned.stages:
        measured = "" if stage.measured is None else f"{stage.measured:.4f}"
        shown.add_row(stage.name, measured, stage.how, fitted(stage.fit), f"{stage.seconds:.1f}")
    return shown


def fitted(fit: Any) -> str:
    """What was fitted, in a few words."""
    trees = f"{fit['trees']} trees; " if "trees" in fit else ""
    best = ", ".join(f"{name} {share:.0%}" for name, share in list(fit.get("gain", {}).items())[:3])
    return trees + best


def places(learned: "Learned") -> str:
    """How often each place is looked at."""
    seen = learned.seen
    low = seen.low.tolist() or [None] * len(seen.propensity)
    high = seen.high.tolist() or low
    cells = [
        f"{value:.2f}" + ("" if least is None else f" [{least:.2f}, {most:.2f}]")
        for value, least, most in list(zip(seen.propensity.tolist(), low, high, strict=True))[:10]
    ]
    return f"places are looked at ({seen.method}): {', '.join(cells)}"


def as_json(version: str, promoted: bool, learned: "Learned") -> dict[str, Any]:
    """The figures for machines."""
    return {
        "version": version,
        "promoted": promoted,
        "metrics": {"as shown": {learned.metric: learned.as_shown}}
        | {one.name: {learned.metric: one.measured} for one in learned.stages if one.measured is not None},
        "stages": [
            {"name": one.name, "how": one.how, "seconds": one.seconds, "fit": one.fit}
            for one in learned.stages
        ],
        "data": learned.data,
        "seconds": learned.seconds,
        "notes": learned.notes,
    }
