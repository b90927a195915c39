"""`sluice experiment`: compare versions of a ranker on live traffic."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cascade.experiments.declared import Kind, Metric
from cascade.names import DEFAULT
from cli.console import err
from cli.options import Json, Ranker, Store, Tenant

if TYPE_CHECKING:
    from cascade.experiments.declared import Experiment

HELP = """Compare versions of a ranker on live traffic: start | status | stop.

  canary       some users are answered by another version
  interleave   pages are drafted from the rankings of several versions, and clicks tell whose items are better
  shadow       another version ranks some requests for nobody: how long it takes, how far it is from the first

A canary needs many users, an interleaving some 10 to 100 times fewer clicks, a shadow none.
"""

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)

Log = Annotated[Path | None, typer.Option(help="Directory of the event log. [STORE-log]", metavar="DIR")]


@app.command()
def start(
    store: Store,
    tenant: Tenant,
    kind: Annotated[Kind, typer.Option(help="What becomes of requests (see above).")],
    arm: Annotated[
        list[str],
        typer.Option(
            help="A version beside the one that serves, or its beginning; repeat for more.", metavar="V"
        ),
    ],
    ranker: Ranker = DEFAULT,
    name: Annotated[
        str, typer.Option(help="Marks its pages in the log. [KIND and the time]", metavar="NAME")
    ] = "",
    share: Annotated[
        list[float] | None,
        typer.Option(
            help="Of users that take part; in a canary, of each arm (repeat for different ones); in a shadow,"
            " of requests. [0.1; interleave: 1]",
            metavar="S",
        ),
    ] = None,
    metric: Annotated[Metric, typer.Option(help="What counts as good.")] = "click",
    alpha: Annotated[
        float, typer.Option(help="How probable it may be that an interval ever misses the truth.")
    ] = 0.05,
    min_pages: Annotated[int, typer.Option(help="Pages a group before anything is said.", metavar="N")] = 100,
    seed: Annotated[int | None, typer.Option(help="Of the assignment. [the time]", metavar="N")] = None,
) -> None:
    """Start one; servers notice it within seconds. One runs at a time, against the version that serves."""
    from cascade.experiments.declared import INTERLEAVE, Experiment, divided
    from cascade.experiments.lifecycle import challenged
    from cascade.store import DirectoryStore

    shelf, now = DirectoryStore(store), datetime.now(UTC)
    versions, control = shelf.versions(tenant, ranker), shelf.promotion(tenant, ranker).version
    arms = challenged(versions, control, arm)
    shares = tuple(share or [1.0 if kind == INTERLEAVE else 0.1])
    experiment = Experiment(
        name=name or f"{kind}-{now:%Y%m%d-%H%M%S}",
        kind=kind,
        arms=arms,
        shares=divided(kind, len(arms) - 1, shares),
        seed=int(now.timestamp()) if seed is None else seed,
        started=now.isoformat(timespec="seconds"),
        metric=metric,
        alpha=alpha,
        min_pages=min_pages,
    )
    shelf.start_experiment(tenant, ranker, experiment)
    typer.echo(experiment.name)


@app.command()
def status(
    store: Store,
    tenant: Tenant,
    ranker: Ranker = DEFAULT,
    name: Annotated[
        str, typer.Option(help="One that ended, too. [the one that runs, or the last]", metavar="NAME")
    ] = "",
    log: Log = None,
    json: Json = False,
) -> None:
    """What it has come to: exposure, sample ratios, and differences with intervals that hold at every look.

    Look as often as you like, and stop when you like. The JSON is evidence for `sluice promote --evaluation`.
    """
    from cascade.store import DirectoryStore
    from cli.experiment_status import behaviour, shadows

    experiment = DirectoryStore(store).experiments(tenant, ranker).find(name)
    root = log or store.absolute().with_name(f"{store.absolute().name}-log")
    (shadows if experiment.kind == "shadow" else behaviour)(root, tenant, ranker, experiment, json)


@app.command()
def stop(store: Store, tenant: Tenant, ranker: Ranker = DEFAULT) -> None:
    """End the one that runs; the version that serves answers everybody again. Nothing is promoted."""
    from cascade.store import DirectoryStore

    now = datetime.now(UTC).isoformat(timespec="seconds")
    ended = DirectoryStore(store).stop_experiment(tenant, ranker, now)
    typer.echo(ended.name)
    way_on(store, tenant, ranker, ended)


def way_on(store: Path, tenant: str, ranker: str, ended: "Experiment") -> None:
    """The commands that judge it and let an arm serve."""
    of = f"--store {store} --tenant {tenant} --ranker {ranker}"
    err.print(
        f"judge it: sluice experiment status {of} --name {ended.name} --json > found.json\n"
        f"let an arm serve: sluice promote {of} --version {ended.arms[1]} --evaluation found.json",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
