"""`sluice train`: fit every stage of a cascade from judgments, and publish the bundle."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from cascade.config import parse_config
from cascade.files import read_text
from cascade.names import check_name
from cascade.store import DirectoryStore
from cli.console import err, out, track
from training.fit import FittedStage
from training.progress import quiet
from training.publish import Target, Task, Trained, train_and_publish
from training.sources import open_collection
from training.trainers import Context
from training.tuning.launch import leads


def command(
    collection: Annotated[Path, typer.Option(help="Folder with corpus, queries and qrels, or a LETOR file.")],
    config: Annotated[Path, typer.Option(help="The cascade.toml to fit.")],
    store: Annotated[Path, typer.Option(help="Folder that bundles are published to.")],
    tenant: Annotated[str, typer.Option(help="Whose ranker.")],
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
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file.")] = None,
) -> None:
    """Fit every stage of a cascade from judgments, and publish the bundle.

    Later stages learn from what earlier ones let through, out of fold. Figures are over held-out queries.
    With --work a training that was killed goes on where it was. Under `accelerate launch` several processes
    share the steps of a fine-tuning.
    """
    check_name(tenant, "--tenant")
    check_name(ranker, "--ranker")
    task = Task(parse_config(read_text(config)), open_collection(collection, queries), candidates)
    target = Target(DirectoryStore(store), tenant, ranker)
    context = Context(seed, track if leads() else quiet, work=work, figures=figures)
    version, trained = train_and_publish(task, target, context, datetime.now(UTC))
    if not leads():
        return
    if promote:
        target.store.promote(tenant, ranker, version)
    for note in trained.notes:
        err.print(f"note: {note}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    out.print(table(trained))
    for stage in trained.stages:
        if stage.fit.get("curve"):
            out.print(curve(stage))
    out.print(f"published {tenant}/{ranker}@{version}{' and promoted' if promote else ''}", highlight=False)
    if json:
        json.write_bytes(
            msgspec.json.format(msgspec.json.encode(as_json(version, promote, trained)), indent=2)
        )


def table(trained: Trained) -> Table:
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


def curve(stage: FittedStage) -> Table:
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


def fitted(stage: FittedStage) -> str:
    """What the trainer told, in a few words."""
    trees = f"{stage.fit['trees']} trees; " if "trees" in stage.fit else ""
    if "steps" in stage.fit:
        return f"{stage.fit['steps']} steps, {stage.fit['variant']}"
    gain = stage.fit.get("gain", {})
    best = ", ".join(f"{name} {share:.0%}" for name, share in list(gain.items())[:3])
    return trees + best


def as_json(version: str, promoted: bool, trained: Trained) -> dict[str, Any]:
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
