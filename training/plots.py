"""Plots of an evaluation as inline SVG. Needs matplotlib, which the `report` extra brings."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np

from training.evaluate import Evaluation
from training.metrics import NDCG
from training.significance import interval

BLUE, GREY, ORANGE = "#2563eb", "#9ca3af", "#ea580c"
SIZE = (6.4, 3.4)


def plots(found: Evaluation) -> dict[str, str]:
    """Title → SVG."""
    drawn: dict[str, Callable[[Any, Evaluation], None]] = {
        "nDCG@10 after each stage, with 95 % bootstrap intervals": quality,
        "Change of nDCG@10 a query, last stage against the first baseline with text": changes,
        "Milliseconds a query": cost,
        "Recall by depth": recall,
    }
    return {title: svg(draw, found) for title, draw in drawn.items()}


def svg(draw: Callable[[Any, Evaluation], None], found: Evaluation) -> str:
    """One plot; the same evaluation gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "sluice", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes, found)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    text = written.getvalue()
    return text[text.index("<svg") :]


def quality(axes: Any, found: Evaluation) -> None:
    """A point a baseline and a stage."""
    rows = {**found.baselines, **{stage.replay.name: stage.scores for stage in found.stages}}
    for place, (name, scores) in enumerate(rows.items()):
        values = scores[NDCG]
        low, high = interval(values, found.settings.seed)
        mean = float(values.mean())
        colour = GREY if name in found.baselines else BLUE
        axes.errorbar([place], [mean], [[mean - low], [high - mean]], fmt="o", color=colour, capsize=4)
        axes.annotate(f"{mean:.3f}", (place, mean), xytext=(7, 4), textcoords="offset points")
    axes.set_xticks(range(len(rows)), list(rows))
    axes.set_ylabel(NDCG)


def changes(axes: Any, found: Evaluation) -> None:
    """A histogram of the per-query differences."""
    base = list(found.baselines.values())[-1]
    difference = found.stages[-1].scores[NDCG] - base[NDCG]
    counts, edges = np.histogram(difference, bins=np.linspace(-1, 1, 41))
    colours = [ORANGE if edge < -1e-9 else BLUE for edge in edges[:-1]]
    axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=colours)
    worse, better = int((difference < 0).sum()), int((difference > 0).sum())
    axes.set_title(f"better {better}, worse {worse}, same {len(difference) - better - worse}", fontsize=9)
    axes.set_yscale("symlog")
    axes.set_ylabel("queries")


def cost(axes: Any, found: Evaluation) -> None:
    """A bar a stage: the mean, with the median marked."""
    names = [stage.replay.name for stage in found.stages]
    axes.barh(names, [stage.replay.mean_ms() for stage in found.stages], color=BLUE, label="mean")
    axes.plot([stage.replay.median_ms() for stage in found.stages], names, "o", color=ORANGE, label="median")
    axes.invert_yaxis()
    axes.legend(frameon=False)


def recall(axes: Any, found: Evaluation) -> None:
    """Recall at 10 and at every cut, a line a stage."""
    depths = found.judge.depths
    rows = {**found.baselines, **{stage.replay.name: stage.scores for stage in found.stages}}
    for name, scores in rows.items():
        means = scores.means()
        style = "--" if name in found.baselines else "-"
        axes.plot(depths, [means[f"recall@{depth}"] for depth in depths], f"{style}o", label=name)
    axes.set_xlabel("depth")
    axes.set_ylabel("recall")
    axes.legend(frameon=False)
