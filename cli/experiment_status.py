"""What an experiment has come to, as tables and as JSON."""

from datetime import datetime
from pathlib import Path
from textwrap import wrap

import msgspec
import typer
from rich.table import Table

from cascade.events import MICROS
from cascade.experiments.declared import CANARY, Experiment
from cascade.experiments.shadows import read_shadows
from cli.console import note, out, track
from cli.tables import narrow
from features.errors import NotReady
from training.events.join import Join
from training.events.rules import Window
from training.experiments.exposure import ALARM
from training.experiments.gather import gather
from training.experiments.judge import MISMATCH, Arm, Judged, judge
from training.experiments.shadows import ShadowArm, shadow_arms

DIFFERENCE, PREFERENCE = "difference", "preference"
"""Columns of intervals, which take more lines where room is short."""
VERDICT_WIDTH = 8
"""Of its column, in characters: as many as the longest word has."""
STYLES = {"arm better": "green", "control better": "red", MISMATCH: "bold red"}


def behaviour(log: Path, tenant: str, ranker: str, experiment: Experiment, json: bool) -> None:
    """Of a canary or an interleaving, out of the event log.

    Raises:
        NotFound: for a tenant without events. NotReady: for a log without a page of the experiment.
    """
    join = Join(root=log, tenant=tenant, window=window(experiment), track=track)
    seen = gather(join, ranker, experiment)
    if not len(seen):
        raise NotReady(
            f"no page of {experiment.name!r} is in the log yet: requests with `log` unset or true are logged"
            " once servers have noticed the experiment"
        )
    found = judge(ranker, experiment, seen)
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        show(found)


def window(experiment: Experiment) -> Window:
    """From its start; pages are known by their arm, so that it need not be exact at the end."""
    return Window(since_us=int(datetime.fromisoformat(experiment.started).timestamp() * MICROS))


def show(found: Judged) -> None:
    """The table, the groups, what a person should know, and the verdict."""
    canary = found.experiment.kind == CANARY
    out.print((canary_table if canary else interleaving_table)(found))
    if found.ratio_p is not None:
        sizes = ", ".join(f"{group} {people:,}" for group, people in found.groups.items())
        say(f"- people: {sizes}; sample ratios p = {found.ratio_p:.3g}", alarm(found.ratio_p))
    if found.draft_p is not None:
        say(f"- who drafted first: p = {found.draft_p:.3g}", alarm(found.draft_p))
    for told in found.notes:
        note(told)
    ended = f" (ended {found.experiment.ended})" if found.experiment.ended else ""
    say(f"- {found.verdict}{ended}", STYLES.get(found.verdict, ""))


def alarm(p: float) -> str:
    """How a probability looks."""
    return "bold red" if p < ALARM else ""


def heading(found: Judged, columns: tuple[str, ...]) -> Table:
    """An empty table with what it is about."""
    one = found.experiment
    return narrow(
        title=f"{one.kind} {one.name}: {found.pages:,} pages, {found.people:,} people",
        caption=f"metric: {one.metric}; intervals hold at every look at {1 - one.alpha:.0%}",
        heads=("arm", *columns),
        wrapping=(DIFFERENCE, PREFERENCE),
    )


def canary_table(found: Judged) -> Table:
    """A row an arm."""
    one = found.experiment
    heads = (
        "share",
        "pages",
        "people",
        "clicked",
        f"{one.metric}\na page",
        DIFFERENCE,
        "exposed",
        "verdict",
    )
    shown = heading(found, heads)
    for arm in found.arms:
        reward = "" if arm.reward is None else f"{arm.reward:.4f}"
        counts = f"{arm.pages:,}", f"{arm.people:,}", f"{arm.clicked:,}"
        shown.add_row(title(found, arm), f"{arm.share:.0%}", *counts, reward, *judged(arm))
    return shown


def interleaving_table(found: Judged) -> Table:
    """A row an arm."""
    heads = ("drafted\nitems", "pages with\ncredit", "wins", PREFERENCE, "exposed", "verdict")
    shown = heading(found, heads)
    for arm in found.arms:
        wins = "" if arm.reward is None else f"{arm.reward:.1%}"
        shown.add_row(title(found, arm), f"{arm.slots:,}", f"{arm.clicked:,}", wins, *judged(arm))
    return shown


def title(found: Judged, arm: Arm) -> str:
    """An arm's version."""
    return f"{arm.version[:16]}\n(control)" if arm.version == found.experiment.control else arm.version[:16]


def judged(arm: Arm) -> tuple[str, str, str]:
    """The last cells of a row."""
    found = arm.difference
    between = "" if found is None else f"{found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
    return between, "yes" if arm.exposed else "no", "\n".join(wrap(arm.verdict, VERDICT_WIDTH))


def shadows(log: Path, tenant: str, ranker: str, experiment: Experiment, json: bool) -> None:
    """Of a shadow, out of its own lines.

    Raises:
        NotReady: where there are none.
    """
    found = shadow_arms(read_shadows(log, tenant, experiment.name), experiment.arms[1:])
    if not any(arm.rankings + arm.failed for arm in found):
        raise NotReady(f"no shadow ranking of {experiment.name!r} is under {log} yet")
    if json:
        told = {"kind": "shadow", "ranker": ranker, "experiment": experiment, "arms": found}
        typer.echo(msgspec.json.format(msgspec.json.encode(told), indent=2))
    else:
        out.print(shadow_table(experiment, found))


def shadow_table(experiment: Experiment, found: tuple[ShadowArm, ...]) -> Table:
    """A row a version."""
    heads = ("rankings", "failed", "degraded", "ms", "95 %", "control's\nms", "overlap\n@10", "tau\n@10")
    title = f"shadow {experiment.name} beside {experiment.control[:16]}"
    shown = narrow(title, "", ("version", *heads), wrapping=())
    for arm in found:
        counts = f"{arm.rankings:,}", f"{arm.failed:,}", f"{arm.degraded:,}"
        times = (number(each, 2) for each in (arm.ms, arm.ms_95, arm.control_ms))
        shown.add_row(arm.version[:16], *counts, *times, number(arm.overlap, 3), number(arm.tau, 3))
    return shown


def number(value: float | None, digits: int) -> str:
    """A cell."""
    return "" if value is None else f"{value:.{digits}f}"


def say(text: str, style: str = "") -> None:
    """A line as it is."""
    out.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
