"""What each rule for dwell adds to clicks for telling relevant documents, on judged sessions.

`trec_session2013`: impressions of judged documents; relevant = grade 1 or more. A rule gives every impression
a score; AUC is the chance that a relevant impression has a higher one than another (ties count half).
Intervals: 2,000 resamples of whole sessions; gains are against clicks alone on the same resamples, and a rule
earns something where that interval is above 0. Document lengths are not in the data: the lengths of snippets
stand for them.
"""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from benchmarks.harness import Row, data_folder
from features.columns import Doubles, Rows
from training.clicks.dwell import Visits, fit_dwell, logged
from training.files import lines
from training.judgments import Grades
from training.simulate.constants import POSITION_BIAS

SHORT = False
SEED = 3
RESAMPLES = 2_000
FIXED_S = 30.0
CAP_S = 600.0


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """n impressions of judged documents, and all visits.

    Attributes:
        relevant, clicked: bool[n].
        position, session: int64[n].
        last: bool[n]: the last document clicked on its page.
        below: bool[n]: below the lowest click of its page, or on a page without any.
        visits: of each impression; NaN seconds where it was not clicked.
    """

    relevant: Rows
    clicked: Rows
    position: Rows
    session: Rows
    last: Rows
    below: Rows
    visits: Visits


def run() -> Iterator[Row]:
    """A row a rule: its AUC, and what it adds to clicks alone."""
    folder = data_folder("trec_session2013")
    if folder is None:
        return
    data = read_sessions(folder)
    yield Row("impressions", "judged", float(len(data.relevant)), "")
    scores = {name: rule(data) for name, rule in RULES.items()}
    base = resampled_auc(scores["clicks"], data)
    for name, score in scores.items():
        drawn = resampled_auc(score, data)
        yield Row(name, "AUC", auc(score, data.relevant, np.ones(len(score))), spread(drawn))
        if name != "clicks":
            gain = drawn - base
            value = auc(score, data.relevant, np.ones(len(score))) - auc(
                scores["clicks"], data.relevant, np.ones(len(score))
            )
            yield Row(name, "AUC gained", value, spread(gain), "clicks")
    yield from among_clicked(scores, data)


def among_clicked(scores: Mapping[str, Doubles], data: Sessions) -> Iterator[Row]:
    """The same among clicked documents alone, where clicks say nothing: dwell's own word."""
    there = data.clicked
    part = replace(data, relevant=data.relevant[there], session=data.session[there])
    for name, score in scores.items():
        if "dwell" in name:
            value = auc(score[there], part.relevant, np.ones(int(there.sum())))
            yield Row(
                name, "AUC among clicked", value, spread(resampled_auc(score[there], part)), "chance: .5"
            )


FIELDS = ("relevant", "clicked", "position", "session", "last", "below")


def spread(drawn: Doubles) -> str:
    """A 95 % interval in words."""
    low, high = np.quantile(drawn, (0.025, 0.975))
    return f"[{low:+.3f}, {high:+.3f}]"


def auc(score: Doubles, relevant: Rows, weight: Doubles) -> float:
    """Mann and Whitney's statistic with weights: P(score of a relevant one > of another) + half the ties."""
    known, at = np.unique(score, return_inverse=True)
    good = np.bincount(at, weight * relevant, len(known))
    bad = np.bincount(at, weight * ~relevant, len(known))
    below = np.cumsum(bad) - bad
    return float((good * (below + bad / 2)).sum() / max(good.sum() * bad.sum(), 1e-12))


def resampled_auc(score: Doubles, data: Sessions) -> Doubles:
    """float64[resamples]: sessions drawn with replacement, the same draws for every rule."""
    random = np.random.default_rng(SEED)
    sessions, owner = np.unique(data.session, return_inverse=True)
    count = len(sessions)
    drawn = (np.bincount(random.integers(0, count, count), minlength=count) for _ in range(RESAMPLES))
    return np.array([auc(score, data.relevant, weight[owner].astype(float)) for weight in drawn])


def clicks(data: Sessions) -> Doubles:
    """1 where clicked."""
    return data.clicked.astype(float)


def with_dwell(value: Callable[[Sessions], Doubles]) -> Callable[[Sessions], Doubles]:
    """Clicked before unclicked, and among clicked ones by `value`; unmeasured ones stand in the middle."""

    def score(data: Sessions) -> Doubles:
        found = value(data)
        middle = float(np.nanmedian(found[data.clicked]))
        order = rankdata(np.where(np.isfinite(found), found, middle)) / (len(found) + 1)
        return np.where(data.clicked, 1 + order, 0.0)

    return score


def fixed(data: Sessions) -> Doubles:
    """1 from 30 seconds on."""
    return np.where(np.isfinite(data.visits.seconds), data.visits.seconds >= FIXED_S, np.nan)


def capped(data: Sessions) -> Doubles:
    """ln seconds, open tabs capped at ten minutes."""
    return logged(data.visits.seconds, CAP_S)


def relative(**by: bool) -> Callable[[Sessions], Doubles]:
    """Residual of the dwell model with the named parts."""

    def value(data: Sessions) -> Doubles:
        parts = {"by_query": False, "by_user": False, "by_length": False} | by
        return fit_dwell(data.visits, cap_s=CAP_S, **parts).evidence(data.visits)

    return value


def skipped(data: Sessions) -> Doubles:
    """Clicked 1; not clicked but above a click 0; what nobody need have seen between."""
    return np.where(data.clicked, 1.0, np.where(data.below, 0.3, 0.0))


def by_examination(data: Sessions) -> Doubles:
    """Clicked 1; an unclicked one counts against it as far as its position is usually seen."""
    seen = POSITION_BIAS[np.minimum(data.position, len(POSITION_BIAS)) - 1]
    return np.where(data.clicked, 1.0, -seen)


def ended(data: Sessions) -> Doubles:
    """The last click of a page before its other clicks."""
    return np.where(data.clicked, np.where(data.last, 1.0, 0.7), 0.0)


RULES: dict[str, Callable[[Sessions], Doubles]] = {
    "position alone": lambda data: -data.position.astype(float),
    "clicks": clicks,
    "clicks + last click of a page": ended,
    "clicks + unseen before skipped": skipped,
    "clicks + unclicked by examination": by_examination,
    "clicks + dwell of 30 s": with_dwell(fixed),
    "clicks + dwell, as measured": with_dwell(lambda data: data.visits.seconds),
    "clicks + dwell, capped": with_dwell(capped),
    "clicks + dwell by length": with_dwell(relative(by_length=True)),
    "clicks + dwell by query": with_dwell(relative(by_query=True)),
    "clicks + dwell by user": with_dwell(relative(by_user=True)),
    "clicks + dwell by all three": with_dwell(relative(by_length=True, by_query=True, by_user=True)),
}


def read_sessions(folder: Path) -> Sessions:
    """The impressions of judged documents. A session is one person at one task: query is the topic."""
    grades = judgments(folder / "qrels.txt.gz")
    rows = [row for page in pages(folder) for row in impressions(page, grades)]
    table = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    visits = Visits(
        table["seconds"].astype(float), table["length"].astype(float), table["topic"], table["session"]
    )
    flags = {name: table[name] for name in FIELDS}
    return Sessions(visits=visits, **flags)


def judgments(path: Path) -> Grades:
    """TREC qrels in which spam has the grade -2: not relevant."""
    grades: dict[str, dict[str, float]] = {}
    for _, line in lines(path):
        topic, _, document, grade = line.split()
        grades.setdefault(topic, {})[document] = max(float(grade), 0.0)
    return grades


def pages(folder: Path) -> Iterator[dict[str, Any]]:
    """Result pages with their clicks."""
    with gzip.open(folder / "interactions.jsonl.gz", "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def impressions(page: dict[str, Any], grades: Grades) -> Iterator[dict[str, Any]]:
    """The judged documents of a page."""
    judged = grades.get(str(page["topic"]), {})
    dwell: dict[int, float] = {}
    for click in page["clicks"]:
        dwell[click["rank"]] = max(
            dwell.get(click["rank"], -1.0), click["dwell"] if click["dwell"] is not None else -1.0
        )
    last = page["clicks"][-1]["rank"] if page["clicks"] else 0
    lowest = max(dwell, default=0)
    for result in page["results"]:
        if result["doc_id"] in judged:
            rank = result["rank"]
            seconds = dwell.get(rank, -1.0)
            yield {
                "relevant": judged[result["doc_id"]] > 0,
                "clicked": rank in dwell,
                "position": rank,
                "session": page["session"],
                "last": rank == last,
                "below": rank > lowest,
                "topic": page["topic"],
                "seconds": seconds if seconds >= 0 else np.nan,
                "length": float(len(result["snippet"].split())),
            }
