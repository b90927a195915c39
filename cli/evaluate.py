"""`sluice evaluate`: what each stage of a ranker brings and costs; or what it would have earned on a log."""

from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from cli.console import err, note, out, track
from cli.tables import narrow
from features.errors import InvalidInput
from training.metrics import MRR, NDCG, Conventions, Gain, NoRelevant
from training.offpolicy.slates import Meaning

if TYPE_CHECKING:
    from cascade.ranker import Ranker
    from training.collection import Collection
    from training.evaluate import Evaluation, StageVerdict

Cluster = Literal["user", "query"]


def command(
    collection: Annotated[
        Path | None, typer.Option(help="Folder with corpus, queries and qrels, or a LETOR file.")
    ] = None,
    queries: Annotated[str, typer.Option(help="NAME in queries.NAME.jsonl; the unnamed without it.")] = "",
    candidates: Annotated[str, typer.Option(help="judged, bm25:K, or a TREC run file.")] = "judged",
    store: Annotated[Path | None, typer.Option(help="Folder of published bundles.")] = None,
    tenant: Annotated[str, typer.Option(help="Whose ranker.")] = "",
    ranker: Annotated[str, typer.Option(help="The ranker's name within the tenant.")] = "default",
    version: Annotated[str, typer.Option(help="A published version; the promoted one without it.")] = "",
    against: Annotated[
        str, typer.Option(help="Compare with this version; with --log, on the pages that it ranked.")
    ] = "",
    embedded: Annotated[bool, typer.Option("--embedded", help="The ranker that comes with Sluice.")] = False,
    gain: Annotated[Gain, typer.Option(help="nDCG's gain of a grade: itself, or 2^grade - 1.")] = "linear",
    no_relevant: Annotated[NoRelevant, typer.Option(help="Queries without a relevant document.")] = "skip",
    min_lift: Annotated[float, typer.Option(help="Relative lift that a stage has to bring.")] = 0.02,
    alpha: Annotated[float, typer.Option(help="A p-value below this is significant.")] = 0.05,
    seed: Annotated[int, typer.Option(help="Of the bootstrap and the randomisation test.")] = 7,
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report with plots to this file.")] = None,
    log: Annotated[
        Path | None, typer.Option(help="Directory of an event log, instead of --collection.", metavar="DIR")
    ] = None,
    depth: Annotated[int, typer.Option(min=1, help="With --log: places of a page that count.")] = 10,
    reward: Annotated[str, typer.Option(help="With --log: click, save, cart or purchase.")] = "click",
    propensities: Annotated[
        Meaning, typer.Option(help="With --log: what a logged propensity is the probability of.")
    ] = "place",
    clip: Annotated[float, typer.Option(help="With --log: larger weights count as this.")] = inf,
    cluster: Annotated[Cluster, typer.Option(help="With --log: whose pages hang together.")] = "user",
) -> None:
    """Judge every stage of a ranker: metrics, significance, cost, and whether it earns its place.

    The first stage is compared with the bm25 baseline, each later one with the stage before it. With --log
    the ranker is compared with the one that ranked the logged pages, off policy; exit 1 where the log cannot
    tell.
    """
    from cli.offpolicy import evaluate_log
    from training.evaluate import Settings, evaluate
    from training.offpolicy.compare import Asked
    from training.offpolicy.estimate import Settings as Off
    from training.sources import open_collection
    from training.summary import summary
    from training.verdict import Rule

    if (collection is None) == (log is None):
        raise InvalidInput("give --collection DIR, or --log DIR with --store and --tenant")
    if log is not None:
        asked = Asked(ranker, against, depth, reward, propensities, cluster == "query", Off(clip, seed=seed))
        evaluate_log(log, tenant, store, version, asked, json)
        return
    if collection is None:
        return
    if report:
        from training.report import require_plots

        require_plots()
    data = open_collection(collection, queries)
    chosen = embedded_ranker(data) if embedded else published(store, tenant, ranker, version)
    settings = Settings(candidates, Conventions(gain, no_relevant), Rule(min_lift, alpha), seed)
    found = evaluate(chosen, data, settings, track)
    show(found)
    told = summary(found)
    if against:
        other = evaluate(published(store, tenant, ranker, against), data, settings, track)
        told |= against_version(found, other, against, seed)
    if json:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=2))
    if report:
        from training.report import write_report

        write_report(found, report)
        err.print(f"report: {report}", markup=False, highlight=False, soft_wrap=True)


def against_version(found: "Evaluation", other: "Evaluation", version: str, seed: int) -> dict[str, Any]:
    """The whole cascade of one version against another's, query by query: shown, and for the JSON."""
    from training.significance import compare
    from training.summary import comparison_summary
    from training.verdict import percent

    after, before = (each.stages[-1].scores[NDCG] for each in (found, other))
    made = compare(after, before, version, seed)
    text = f"- against {version}: {NDCG} {percent(made)} [{made.low:+.4f}, {made.high:+.4f}]"
    out.print(text, markup=False, highlight=False, soft_wrap=True)
    return {"against_version": {"version": version, **comparison_summary(made)}}


def published(store: Path | None, tenant: str, ranker: str, version: str) -> "Ranker":
    """A ranker of a store.

    Raises:
        InvalidInput: if neither a store nor the embedded ranker was asked for.
    """
    from cascade.load import load_ranker
    from cascade.store import DirectoryStore

    if store is None or not tenant:
        raise InvalidInput("give --store DIR with --tenant NAME, or --embedded")
    return load_ranker(DirectoryStore(store).path(tenant, ranker, version or None), ranker)


def embedded_ranker(collection: "Collection") -> "Ranker":
    """The ranker that comes with Sluice, over whatever text fields the collection has."""
    from training.embedded.ranker import embedded_ranker as make

    return make(collection)


def show(found: "Evaluation") -> None:
    """The tables for people, the verdicts, and what they should know."""
    from training.verdict import percent

    for told in found.notes:
        note(told)
    out.print(
        f"{found.ranker}, candidates: {found.settings.candidates}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    out.print(quality(found))
    out.print()
    out.print(price(found))
    for stage in found.stages:
        style = "green" if stage.earned else "red"
        out.print(f"- {stage.verdict}", style=style, markup=False, highlight=False, soft_wrap=True)
    for each in found.final_against:
        text = f"- the cascade against {each.against}: {NDCG} {percent(each)} (p = {each.p_value:.4f})"
        out.print(text, markup=False, highlight=False, soft_wrap=True)


def quality(found: "Evaluation") -> Table:
    """A row a baseline and a stage: how good the ranking is after it."""
    judge = found.judge
    shown = Table(
        title=f"{len(judge.queries)} queries ({judge.alone} without relevant documents)",
        caption=judge.conventions.describe(),
        box=SIMPLE_HEAD,
    )
    names = [NDCG, MRR, *(f"recall@{depth}" for depth in judge.depths)]
    shown.add_column("after")
    for name in names:
        shown.add_column(name, justify="right", no_wrap=True)
    rows = {**found.baselines, **{stage.replay.name: stage.scores for stage in found.stages}}
    for name, scores in rows.items():
        means = scores.means()
        shown.add_row(name, *(f"{means[each]:.4f}" for each in names))
    return shown


def price(found: "Evaluation") -> Table:
    """A row a stage: what it brings to the one before it, and what it costs."""
    caption = (
        f"change: of {NDCG} against the row before (the first: {found.stages[0].comparison.against}),"
        " 95 % interval; lost: share of the relevant candidates that the cut took out; per query: new in the"
        " top 10, milliseconds, tokens"
    )
    heads = ("stage", "change", "p", "lost", "new", "ms", "tokens")
    shown = narrow("", caption, heads, ())
    for stage in found.stages:
        shown.add_row(stage.replay.name, *details(stage))
    return shown


def details(stage: "StageVerdict") -> list[str]:
    """The comparison and the cost of a stage."""
    found, each = stage.comparison, stage.replay
    return [
        f"{found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}]",
        f"{found.p_value:.4f}",
        f"{stage.lost_relevant:.1%}",
        f"{each.changed_top():.2f}",
        f"{each.mean_ms():.1f}",
        f"{sum(each.tokens()) / max(len(each.reports), 1):.0f}",
    ]
