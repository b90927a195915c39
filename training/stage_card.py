"""The model card of a stage that was fine-tuned: it travels in the stage's folder of the bundle."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from cascade.stage import StageSpec
from training.card import Card, Cell, Figures, write_card
from training.fit import FittedStage

LIMITS = (
    "Judged on held-out queries of the collection that it learned from, not on any other.",
    "Learned from what the stages before it let through; elsewhere in a cascade it meets other candidates.",
    "The licence is that of the weights it started from, of the data and of the teacher's scores: state it"
    " here before you give the model away.",
)


def write_stage_card(
    spec: StageSpec,
    stage: FittedStage,
    metrics: Mapping[str, Any],
    data: Mapping[str, Any],
    files: Path,
    now: datetime,
) -> None:
    """README.md and card.json beside the stage's files, where it has been fine-tuned.

    Args:
        spec: the stage as declared.
        stage: what became of it.
        metrics: stage → held-out metrics.
        data: where labels came from, as the manifest tells it.
        files: the stage's folder.
        now: when it was made.
    """
    if stage.fit.get("steps"):
        write_card(card_of(spec, stage, metrics, data, now), files)


def card_of(
    spec: StageSpec, stage: FittedStage, metrics: Mapping[str, Any], data: Mapping[str, Any], now: datetime
) -> Card:
    """The card."""
    fit = stage.fit
    return Card(
        title=f"{spec.name}: a {spec.kind} fine-tuned on {data['collection']}",
        summary="Fine-tuned by `sluice train` for one collection, as a stage of one cascade.",
        source=str(fit.get("weights", "")),
        made=now.isoformat(timespec="seconds"),
        data=tuple(told(spec, fit, data)),
        properties={**sizes(fit), **settings(spec)},
        figures=tuple(figures(stage, metrics)),
        limits=LIMITS,
        rebuild=f"sluice train --collection {data['collection']} --config cascade.toml --candidates"
        f" {data['candidates']} --seed {data['seed']} --store STORE --tenant TENANT",
    )


def told(spec: StageSpec, fit: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    """What it learned from."""
    lines = [
        f"{data['collection']}: {data['queries']:,} queries with {data['judgments']:,} judgments over"
        f" {data['documents']:,} documents (SHA-256 {data['digest'][:16]}), candidates: {data['candidates']}",
        f"licence of the data: {data['licence']}",
    ]
    teacher = getattr(getattr(spec, "train", None), "teacher", "")
    if teacher:
        share = fit.get("taught") or 0.0
        lines.append(f"a teacher's scores of {share:.0%} of the candidates: {Path(teacher).name}")
    return lines


def sizes(fit: Mapping[str, Any]) -> dict[str, Cell]:
    """How large it is and how long it learned."""
    names = ("variant", "bytes", "steps", "planned", "kept")
    return {**(fit.get("student") or {}), **{name: fit[name] for name in names if name in fit}}


def settings(spec: StageSpec) -> dict[str, Cell]:
    """The settings of the training that are one value each."""
    declared = msgspec.to_builtins(getattr(spec, "train", None)) or {}
    scalars = {name: value for name, value in declared.items() if isinstance(value, str | int | float)}
    return {
        f"train.{name}": str(value) if isinstance(value, bool) else value for name, value in scalars.items()
    }


def figures(stage: FittedStage, metrics: Mapping[str, Any]) -> list[Figures]:
    """The held-out metrics, the curve, and the parity of what was exported."""
    found: list[Figures] = []
    if stage.name in metrics:
        rows = tuple((name, metrics["input"][name], value) for name, value in metrics[stage.name].items())
        found.append(
            Figures(title="Held-out queries", columns=("metric", "as sent", "after this stage"), rows=rows)
        )
    if stage.fit.get("curve"):
        points = tuple((p["step"], p["loss"], p["held_out_loss"], p["ndcg"]) for p in stage.fit["curve"])
        heads = ("step", "loss", "held-out loss", "nDCG@10")
        found.append(Figures(title="Fine-tuning", columns=heads, rows=points, note="nDCG@10: linear gain."))
    parity = stage.fit.get("parity") or {}
    told = tuple((name, value) for name, value in parity.items() if isinstance(value, str | int | float))
    if told:
        title = f"Parity of {stage.fit['variant']} with float32"
        found.append(Figures(title=title, columns=("figure", "value"), rows=told))
    return found
