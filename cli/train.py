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
from training.publish import Target, Task, Trained, train_and_publish
from training.sources import open_collection
from training.trainers import Context


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
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file.")] = None,
) -> None:
    """Fit every stage of a cascade from judgments, and publish the bundle.

    Later stages learn from what earlier ones let through, out of fold. Figures are over held-out queries.
    """
    check_name(tenant, "--tenant")
    check_name(ranker, "--ranker")
    task = Task(parse_config(read_text(config)), open_collection(collection, queries), candidates)
    target = Target(DirectoryStore(store), tenant, ranker)
    version, trained = train_and_publish(task, target, Context(seed, track), datetime.now(UTC))
    if promote:
        target.store.promote(tenant, ranker, version)
    for note in trained.notes:
        err.print(f"note: {note}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    out.print(table(trained))
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
    shown.add_row("input", *figures(trained.metrics["input"]), "", "")
    for stage in trained.stages:
        metrics = figures(trained.metrics[stage.name])
        shown.add_row(stage.name, *metrics, fitted(stage), f"{stage.seconds:.1f}")
    return shown


def figures(metrics: Mapping[str, float]) -> list[str]:
    """The three metrics of a row."""
    return [f"{metrics[name]:.4f}" for name in ("nDCG@10", "MRR@10", "recall@10")]


def fitted(stage: FittedStage) -> str:
    """What the trainer told, in a few words."""
    trees = f"{stage.fit['trees']} trees; " if "trees" in stage.fit else ""
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
