"""`sluice train`: fit every stage of a cascade, from judgments or from an event log; publish the bundle."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from cli.borrow import Then, borrow
from cli.console import note, out, track
from cli.options import AllowPrivate
from cli.train_log import train_log
from features.errors import InvalidInput

if TYPE_CHECKING:
    from training.fit import FittedStage
    from training.publish import Trained


def command(
    config: Annotated[Path, typer.Option(help="The cascade.toml to fit.")],
    store: Annotated[Path, typer.Option(help="Folder that bundles are published to.")],
    tenant: Annotated[str, typer.Option(help="Whose ranker.")],
    collection: Annotated[
        Path | None, typer.Option(help="Folder with corpus, queries and qrels, or a LETOR file.")
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(
            help="Directory of an event log to learn from; with --collection, for behaviour features.",
            metavar="DIR",
        ),
    ] = None,
    since: Annotated[
        str,
        typer.Option(
            help="With --log: pages from this date, time or span (7d, 24h) on, or `last`.", metavar="WHEN"
        ),
    ] = "",
    until: Annotated[
        str, typer.Option(help="With --log: pages and interactions before this. [now]", metavar="WHEN")
    ] = "",
    behaviour: Annotated[
        Path | None, typer.Option(help="With --log: TOML of how behaviour becomes labels.", metavar="FILE")
    ] = None,
    unbiased: Annotated[
        str | None,
        typer.Option(help="With --log: auto, ips, position, joint, pooled or none.", metavar="KIND"),
    ] = None,
    go_on: Annotated[
        bool,
        typer.Option("--continue", help="With --log: grow the promoted boosters on, if that is better."),
    ] = False,
    queries: Annotated[str, typer.Option(help="NAME in queries.NAME.jsonl; the unnamed without it.")] = "",
    ranker: Annotated[str, typer.Option(help="The ranker's name within the tenant.")] = "default",
    promote: Annotated[bool, typer.Option("--promote", help="Let the new version serve at once.")] = False,
    candidates: Annotated[str, typer.Option(help="judged, bm25:K, or a TREC run file.")] = "judged",
    seed: Annotated[int, typer.Option(help="Of the split into folds.")] = 7,
    work: Annotated[
        Path | None, typer.Option(help="Folder for the state of long fits: the same command goes on there.")
    ] = None,
    figures: Annotated[
        bool, typer.Option(help="Judge the last stage on held-out queries (a fit more).")
    ] = True,
    base: Annotated[
        str, typer.Option(help="Borrow from TENANT[/RANKER[@VERSION]] as far as that serves.", metavar="NAME")
    ] = "",
    allow_private_base: AllowPrivate = False,
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file.")] = None,
) -> None:
    """Fit every stage of a cascade from judgments, or from an event log, and publish the bundle.

    With --log, stages that read numbers learn from what people did with what they were shown, by the
    features that were logged; others are kept as the promoted bundle has them. `--since last` goes on where
    the promoted bundle's data ended. Nothing is promoted unless asked for: `sluice promote` asks the gate.

    With --collection, later stages learn from what earlier ones let through, out of fold. Figures are over
    held-out queries. With --work a training that was killed goes on where it was. Under `accelerate launch`
    several processes share the steps of a fine-tuning. With --base the tenant gets what its held-out queries
    choose: the base as it is, the base plus residual trees of its own, or a ranker of its own.
    """
    from cascade.config import parse_config
    from cascade.files import read_text
    from cascade.names import check_name
    from cascade.store import DirectoryStore
    from cascade.tenants import Tenants
    from cascade.unasked import promote_unasked
    from training.behaviour import LoggedBehaviour
    from training.from_log.settings import read_learning
    from training.from_log.task import LogTask
    from training.progress import quiet
    from training.publish import Target, Task, train_and_publish
    from training.sources import open_collection
    from training.trainers import Context
    from training.tuning.launch import leads

    check_name(tenant, "--tenant")
    check_name(ranker, "--ranker")
    window = {"--since": since, "--until": until}
    from_log = {**window, "--behaviour": behaviour, "--unbiased": unbiased, "--continue": go_on}
    from_labels = {"--queries": queries, "--work": work, "--base": base}
    target = Target(DirectoryStore(store), tenant, ranker)
    if log is not None and collection is None:
        refuse(from_labels, "--collection")
        learning = read_learning(behaviour, unbiased)
        asked = LogTask(parse_config(read_text(config)), log, since, until, learning, go_on)
        train_log(asked, target, Context(seed, track), Then(promote, json))
        return
    if collection is None:
        raise InvalidInput("give --collection DIR (with --base or --log, or without), or --log DIR")
    refuse(from_log, "--log DIR and without --collection")
    known = LoggedBehaviour.of(log, tenant) if log else None
    task = Task(parse_config(read_text(config)), open_collection(collection, queries), candidates, known)
    context = Context(seed, track if leads() else quiet, work=work, figures=figures)
    if base:
        borrow(task, target, base, Tenants(store), context, Then(promote, json, allow_private_base))
        return
    now = datetime.now(UTC)
    version, trained = train_and_publish(task, target, context, now)
    if not leads():
        return
    notes = trained.notes
    if promote:
        notes += promote_unasked(target.store, tenant, ranker, version, "sluice train", now)
    for told in notes:
        note(told)
    out.print(table(trained))
    for stage in trained.stages:
        if stage.fit.get("curve"):
            out.print(curve(stage))
    out.print(f"published {tenant}/{ranker}@{version}{' and promoted' if promote else ''}", highlight=False)
    if json:
        json.write_bytes(
            msgspec.json.format(msgspec.json.encode(as_json(version, promote, trained)), indent=2)
        )


def refuse(options: Mapping[str, object], wanted: str) -> None:
    """Say which of some options was given where nothing would read it.

    Raises:
        InvalidInput: naming the first.
    """
    for name, value in options.items():
        if value:
            raise InvalidInput(f"is read only with {wanted}", path=name)


def table(trained: "Trained") -> Table:
    """A row a stage: held-out metrics, what was fitted, seconds."""
    caption = f"features took {trained.seconds['features']:.1f} s, all of it {trained.seconds['total']:.1f} s"
    shown = Table(title="Held-out queries, after each stage", caption=caption, box=SIMPLE_HEAD)
    for head in ("stage", "nDCG@10", "MRR@10", "recall@10", "fitted", "seconds"):
        words = head in ("stage", "fitted")
        shown.add_column(head, justify="left" if words else "right", no_wrap=not words)
    shown.add_row("input", *means(trained.metrics["input"]), "", "")
    for stage in trained.stages:
        metrics = means(trained.metrics.get(stage.name, {}))
        shown.add_row(stage.name, *metrics, fitted(stage), f"{stage.seconds:.1f}")
    return shown


def means(metrics: Mapping[str, float]) -> list[str]:
    """The three metrics of a row, blank where they were not measured."""
    names = ("nDCG@10", "MRR@10", "recall@10")
    return [f"{metrics[name]:.4f}" if name in metrics else "" for name in names]


def curve(stage: "FittedStage") -> Table:
    """The held-out curve of a fine-tuned stage, the step that was kept marked."""
    held, kept, planned = (stage.fit[key] for key in ("held_out_queries", "kept", "planned"))
    caption = f"{held} held-out queries; * kept, of {planned} planned steps"
    shown = Table(title=f"{stage.name}: fine-tuning", caption=caption, box=SIMPLE_HEAD)
    for head in ("step", "loss", "held-out loss", "nDCG@10"):
        shown.add_column(head, justify="right", no_wrap=True)
    for point in stage.fit["curve"]:
        numbers = (point[key] for key in ("loss", "held_out_loss", "ndcg"))
        cells = ("" if number is None else f"{number:.4f}" for number in numbers)
        shown.add_row(f"{'*' if point['step'] == kept else ''}{point['step']}", *cells)
    return shown


def fitted(stage: "FittedStage") -> str:
    """What the trainer told, in a few words."""
    trees = f"{stage.fit['trees']} trees; " if "trees" in stage.fit else ""
    if "steps" in stage.fit:
        return f"{stage.fit['steps']} steps, {stage.fit['variant']}"
    gain = stage.fit.get("gain", {})
    best = ", ".join(f"{name} {share:.0%}" for name, share in list(gain.items())[:3])
    return trees + best


def as_json(version: str, promoted: bool, trained: "Trained") -> dict[str, Any]:
    """The figures for machines."""
    return {
        "version": version,
        "promoted": promoted,
        "metrics": trained.metrics,
        "stages": [
            {"name": stage.name, "seconds": stage.seconds, "fit": stage.fit} for stage in trained.stages
        ],
        "data": trained.data,
        "seconds": trained.seconds,
        "notes": trained.notes,
    }
