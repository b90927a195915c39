"""An evaluation as one HTML page that needs nothing else: tables, plots, the queries that changed most."""

import importlib.util
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from features.errors import NotReady
from training.evaluate import Evaluation, StageVerdict
from training.metrics import NDCG, Scores
from training.verdict import percent

SHOWN = 15

STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#111}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .7rem;border-bottom:1px solid #ddd;
text-align:right}td:first-child,th:first-child{text-align:left}.good{color:#15803d}.bad{color:#b91c1c}
svg{max-width:100%;height:auto}small{color:#555}"""


def require_plots() -> None:
    """Refuse early, before minutes of ranking, where plots cannot be drawn.

    Raises:
        NotReady: saying how to install matplotlib.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise NotReady("--report needs matplotlib: pip install 'sluice[report]', or leave out --report")


def write_report(found: Evaluation, path: Path) -> None:
    """The page as a file."""
    path.write_text(page(found), encoding="utf-8")


def page(found: Evaluation) -> str:
    """The page."""
    from training.plots import plots

    title = f"Evaluation of {escape(found.ranker)}"
    drawn = [f"<h2>{escape(name)}</h2>\n{svg}" for name, svg in plots(found).items()]
    parts = [head(found), stage_table(found), verdicts(found), *drawn, changed(found), notes(found)]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n{''.join(parts)}</body></html>\n"
    )


def head(found: Evaluation) -> str:
    """What was judged, and under which conventions."""
    judge = found.judge
    return (
        f"<p>{len(judge.queries)} queries ({judge.alone} without relevant documents), candidates:"
        f" {escape(found.settings.candidates)}.<br><small>{escape(judge.conventions.describe())}.</small></p>"
    )


def stage_table(found: Evaluation) -> str:
    """A row a baseline and a stage."""
    names = list(found.stages[-1].scores.means())
    heads = [*names, "difference", "p", "relevant lost", "top 10 changed", "ms", "tokens"]
    rows = [row(name, scores, names, [""] * 6) for name, scores in found.baselines.items()]
    rows += [row(each.replay.name, each.scores, names, costs(each)) for each in found.stages]
    header = "".join(f"<th>{escape(each)}</th>" for each in ("after", *heads))
    return f"<table><tr>{header}</tr>{''.join(rows)}</table>\n"


def row(name: str, scores: Scores, names: Sequence[str], more: Sequence[str]) -> str:
    """One row of the table."""
    means = scores.means()
    cells = [escape(name), *(f"{means[each]:.4f}" for each in names), *more]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def costs(stage: StageVerdict) -> list[str]:
    """The comparison and the cost of a stage."""
    found, each = stage.comparison, stage.replay
    return [
        f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}]",
        f"{found.p_value:.4f}",
        f"{stage.lost_relevant:.2%}",
        f"{each.changed_top():.2f}",
        f"{each.mean_ms():.1f} (median {each.median_ms():.1f})",
        f"{np.mean(each.tokens() or [0]):.0f}",
    ]


def verdicts(found: Evaluation) -> str:
    """A sentence a stage, then the whole cascade against everything else."""
    items = [
        f'<li class="{"good" if stage.earned else "bad"}">{escape(stage.verdict)}</li>'
        for stage in found.stages
    ]
    items += [
        f"<li>the cascade against {escape(each.against)}: {percent(each)} (p = {each.p_value:.4f})</li>"
        for each in found.final_against
    ]
    return f"<ul>{''.join(items)}</ul>\n"


def changed(found: Evaluation) -> str:
    """The queries that the cascade harmed and helped most, against the last baseline."""
    name, base = list(found.baselines.items())[-1]
    before, after = base[NDCG], found.stages[-1].scores[NDCG]
    order = np.argsort(after - before, kind="stable")
    worst = [place for place in order[:SHOWN].tolist() if after[place] < before[place]]
    best = [place for place in order[::-1][:SHOWN].tolist() if after[place] > before[place]]
    parts = []
    for title, places in (("Harmed most", worst), ("Helped most", best)):
        rows = "".join(
            f"<tr><td>{escape(found.texts.get(found.judge.queries[place], ''))}</td>"
            f"<td>{before[place]:.3f}</td><td>{after[place]:.3f}</td></tr>"
            for place in places
        )
        header = f"<tr><th>query</th><th>{escape(name)}</th><th>cascade</th></tr>"
        parts.append(f"<h2>{title}</h2><table>{header}{rows}</table>\n")
    return "".join(parts)


def notes(found: Evaluation) -> str:
    """What a person should know."""
    return "".join(f"<p><small>Note: {escape(note)}</small></p>" for note in found.notes)
