"""`sluice evaluate --log`: a candidate ranker against the one that logged, for people and for machines."""

from pathlib import Path

import msgspec
import typer
from rich.table import Table

from cascade.eventlog.windows import learned_until
from cascade.load import load_ranker
from cascade.manifest import read_manifest
from cascade.store import DirectoryStore
from cli.console import err, out, track
from cli.tables import drifted, narrow
from features.errors import InvalidInput
from training.drift import read_profiles
from training.events.join import Join
from training.events.rules import Window
from training.offpolicy.compare import Asked, OffPolicy, compare
from training.offpolicy.estimate import Estimate
from training.offpolicy.intervals import Interval


def evaluate_log(
    log: Path, tenant: str, store: Path | None, version: str, asked: Asked, json: Path | None
) -> None:
    """Compare on the pages since the version's training, print, write; exit 1 where the log cannot answer.

    Raises:
        InvalidInput: without a store or a tenant.
        NotFound: for a log, tenant or version that is not there.
        NotReady: for a ranker that cannot be replayed, or a log without its features, or without pages since.
    """
    if store is None or not tenant:
        raise InvalidInput("give --store DIR and --tenant NAME with --log")
    home = DirectoryStore(store).path(tenant, asked.name, version or None)
    candidate = load_ranker(home, asked.name)
    data = read_manifest(home).manifest.data
    unseen = Window(since_us=learned_until(data))
    join = Join(root=log, tenant=tenant, window=unseen, features=True, track=track)
    found = compare(candidate, join, asked, read_profiles(data))
    show(found)
    if json:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2))
    if found.refused:
        raise typer.Exit(1)


def show(found: OffPolicy) -> None:
    """The table, the verdict, and what a person should know."""
    for note in found.notes:
        say(f"note: {note}", "yellow", to_err=True)
    for why, pages in found.left_out.items():
        if pages:
            say(f"note: {pages:,} pages {why} were left out", "yellow", to_err=True)
    if found.drift:
        say(f"- {drifted(found.drift)[0]}")
    out.print(table(found))
    for why in found.refused:
        say(f"- the log cannot tell: {why}", "red")
    if not found.refused:
        verdict(found)


def verdict(found: OffPolicy) -> None:
    """What the deciding estimator says, in a sentence."""
    first = found.estimates[0]
    low, high = first.difference.low, first.difference.high
    word, style = (
        ("better", "green") if low > 0 else ("worse", "red") if high < 0 else ("not surely other", "")
    )
    say(f"- {word} than what was logged: {interval(first.difference, '+')} a page ({first.name})", style)


def table(found: OffPolicy) -> Table:
    """A row for what was logged, and one an estimator."""
    shown = narrow(
        title=f"{found.ranker}@{found.version} on {found.pages:,} logged pages",
        caption=f"{found.asked.reward}s a page at the first {found.asked.depth} places, 95 % intervals;"
        f" {found.moved:.0%} of the pages would look otherwise; ESS: pages that the weighted ones are worth",
        heads=("estimator", "a page", "change", "ESS", "mean\nweight", "clipped"),
        wrapping=("a page", "change"),
    )
    shown.add_row("logged", interval(found.logged), "", "", "", "")
    for each in found.estimates:
        shown.add_row(*cells(each), style="dim" if each.refused else "")
    return shown


def cells(each: Estimate) -> tuple[str, ...]:
    """A row of the table."""
    mean = "" if each.mean_weight is None else f"{each.mean_weight.value:.3f}"
    change = interval(each.difference, "+")
    return (each.name, interval(each.value), change, f"{each.effective:,.0f}", mean, f"{each.clipped:.1%}")


def interval(found: Interval, sign: str = "") -> str:
    """A value between its bounds."""
    return f"{found.value:{sign}.4f} [{found.low:{sign}.4f}, {found.high:{sign}.4f}]"


def say(text: str, style: str = "", to_err: bool = False) -> None:
    """A line as it is."""
    (err if to_err else out).print(text, style=style, markup=False, highlight=False, soft_wrap=True)
