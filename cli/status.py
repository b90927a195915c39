"""`sluice status`: what serves, and how it fares."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cli.console import out, track
from cli.options import Json, Store
from cli.tables import drifted, minute

if TYPE_CHECKING:
    from cascade.lift.verdict import Between
    from training.status.told import RankerStatus, Seen, StageLift, Status, TenantLog

SERVING = ("ranker", "version", "serves since", "learned from", "main metric", "experiment")
BEHAVIOUR = ("ranker", "pages", "people", "clicked pages", "clicks a page", "interactions", "last page")
STAGES = ("stage", "against", "pages", "lift, clicks a page", "relative", "ESS", "verdict")
DAY_S = 86_400


def command(
    store: Store,
    log: Annotated[
        Path | None,
        typer.Option(help="Directory of the event log; without it the store alone.", metavar="DIR"),
    ] = None,
    tenant: Annotated[str, typer.Option(help="Only this tenant's. [all]", metavar="NAME")] = "",
    since: Annotated[
        str,
        typer.Option(help="Pages from then on: a date, a time, or a span such as 7d. [all]", metavar="WHEN"),
    ] = "",
    json: Json = False,
) -> None:
    """Tell what serves, what people do with it, and what each of its stages earns.

    With --log: pages, people and interactions, the share of clicked pages, each stage's lift in clicks a page
    with its 95 % interval, features that drifted since training, and when the last event came. A lift is told
    only where the log can tell it; otherwise stands why not.
    """
    from cascade.events import MICROS
    from cascade.store import DirectoryStore
    from training.events.rules import Window
    from training.from_log.window import moment
    from training.status.gather import gather

    now_us = int(datetime.now(UTC).timestamp() * MICROS)
    start = moment(since, now_us, "--since") if since else 0
    shelf = DirectoryStore(existing(store))
    found = gather(shelf, log, tenant, Window(since_us=start), now_us, track)
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    show(found)


def existing(store: Path) -> Path:
    """The store's directory.

    Raises:
        NotFound: if it is not there.
    """
    from features.errors import NotFound

    if not store.is_dir():
        raise NotFound(f"no directory {store}; `sluice train` makes one", path="--store")
    return store


def show(found: "Status") -> None:
    """Tables and lines for people."""
    from cli.check import table

    out.print(table("what serves", SERVING, [serving(one) for one in found.rankers]))
    for one in found.rankers:
        if one.serving.problem:
            line(f"{name(one)}: {one.serving.problem}", "red")
    for each in found.logs:
        line(events(each))
    seen = [one for one in found.rankers if one.seen and one.seen.pages]
    if seen:
        out.print(table("what people did", BEHAVIOUR, [behaviour(one) for one in seen]))
    for one in seen:
        tell_stages(one)


def name(one: "RankerStatus") -> str:
    """Tenant and ranker."""
    return f"{one.tenant}/{one.ranker}"


def serving(one: "RankerStatus") -> tuple[str, ...]:
    """A row of the first table."""
    told = one.serving
    window = " to ".join(minute(told.data_window.get(edge, "?")) for edge in ("since", "until"))
    main = next((f"{metric} {value:.4f}" for metric, value in told.metrics.items()), "")
    running = f"{told.experiment.kind} {told.experiment.name!r}" if told.experiment else ""
    forced = "\n(forced)" if told.forced else ""
    return (
        name(one),
        (told.version or "nothing promoted") + forced,
        minute(told.promoted),
        window if told.data_window else "judgments" if told.version else "",
        main,
        running,
    )


def events(log: "TenantLog") -> str:
    """A line on a tenant's log."""
    if log.age_s is None:
        return f"- {log.tenant}: no events"
    left_out = {what: log.events[what] for what in LEFT_OUT if what in log.events}
    told = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in left_out.items())
    return f"- {log.tenant}: last event {ago(log.age_s)}{f'; left out: {told}' if told else ''}"


LEFT_OUT = (
    "duplicate_interactions",
    "orphan",
    "not_shown",
    "late",
    "skewed",
    "bot",
    "bot_pages",
    "broken_pages",
)


def ago(seconds: float) -> str:
    """How long ago, in the largest unit that has one."""
    for size, unit in ((DAY_S, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit} ago"
    return f"{seconds:.0f} seconds ago" if seconds >= 0 else f"{-seconds:.0f} seconds ahead of this clock"


def behaviour(one: "RankerStatus") -> tuple[str, ...]:
    """A row of the second table."""
    seen = of(one)
    done = ", ".join(f"{count:,} {kind}" for kind, count in seen.interactions.items())
    numbers = (
        f"{seen.pages:,}",
        f"{seen.people:,}",
        f"{seen.clicked_pages:.1%}",
        f"{seen.clicks_a_page:.3f}",
    )
    return (name(one), *numbers, done, minute(seen.last_page))


def of(one: "RankerStatus") -> "Seen":
    """What was seen of a ranker that was seen."""
    assert one.seen is not None  # noqa: S101 (asked for rankers with pages alone)
    return one.seen


def tell_stages(one: "RankerStatus") -> None:
    """What each stage earns, or why that cannot be told; and drift."""
    from cli.check import table

    seen = of(one)
    if seen.stages:
        title = f"{name(one)}@{one.serving.version}: what its stages earn"
        out.print(table(title, STAGES, [stage(each) for each in seen.stages], whole=("stage",)))
        curve = ", ".join(f"{theta:.2f}" for theta in seen.examination)
        line(f"- {name(one)}: places are seen this often, by {seen.examination_source}: {curve}")
        for each in seen.stages:
            for why in each.refused:
                line(f"- {each.stage}: cannot tell: {why}", "yellow")
    elif one.serving.version:
        line(f"- {name(one)}: stages' lifts cannot be told: {seen.examination_why}", "yellow")
    if seen.scored_whole is not None and seen.scored_whole < 1:
        line(f"- {name(one)}: {1 - seen.scored_whole:.1%} of pages lack the score of some stage", "yellow")
    if seen.drift_why:
        line(f"- {name(one)}: drift since training cannot be told: {seen.drift_why}", "yellow")
    if seen.drift:
        told, style = drifted(seen.drift)
        line(f"- {name(one)}: {told}", style)


def stage(each: "StageLift") -> tuple[str, ...]:
    """A row of the stages' table."""
    relative = within(each.relative, "+.1%") if not each.refused else ""
    lift = within(each.lift, "+.4f") if not each.refused else ""
    numbers = (lift, relative, f"{each.effective:,.0f}")
    return (each.stage, each.against, f"{each.pages:,}", *numbers, each.verdict)


def within(found: "Between", form: str) -> str:
    """A value between its bounds."""
    return f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"


def line(text: str, style: str = "") -> None:
    """A line as it is."""
    out.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
