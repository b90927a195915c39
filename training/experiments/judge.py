"""What an experiment has come to: arm by arm, and in a word."""

from dataclasses import dataclass

import numpy as np

from cascade.experiments.declared import CANARY, Experiment
from training.experiments import always
from training.experiments.always import Sample
from training.experiments.exposure import ALARM, ratio_p
from training.experiments.gather import OUTSIDE, Seen
from training.offpolicy.intervals import Interval

KIND = "experiment"

RUNNING, BETTER, CONTROL_BETTER, MISMATCH, THIN = (
    "running",
    "arm better",
    "control better",
    "stopped by sample-ratio mismatch",
    "too little exposure",
)
FELL_BACK = 0.02
"""A larger share of pages on which an arm failed is told: what it shows is not what it would."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm.

    Attributes:
        version, group: its version, and what its pages have as `arm`.
        share: of the traffic that it should have.
        pages, people: whom it was shown to; of an interleaving, those of all arms.
        clicked: pages with a click (canary), or pages on which this arm earned something (interleaving).
        reward: mean reward a page (canary), or share of the decided pages that it won of the control
            (interleaving: Δ + ½ of Chapelle et al., 2012); None where that cannot be said.
        slots: items that it drafted; 0 in a canary.
        fell_back: pages on which it failed, and the control answered.
        difference: from the control in `reward`, with bounds that hold at every look (of an interleaving: the
            mean preference, -1 to 1); None where the log cannot say yet.
        exposed: whether it was shown often enough.
        verdict: of this arm against the control.
    """

    version: str
    group: str
    share: float
    pages: int
    people: int
    clicked: int
    reward: float | None
    slots: int
    fell_back: int
    difference: Interval | None
    exposed: bool
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """All of it.

    Attributes:
        ranker: the name within its tenant.
        pages, people: of all groups.
        groups: group → people, along `experiment.shares`.
        crossed: people whose pages are in more than one group, which no hash does: callers name users
            on some of their requests only, or log arms by themselves.
        ratio_p: of the groups' sizes. `draft_p`: of who drafted first. None = not to be told.
        arms: the control first.
        verdict: in a word; `notes`: what a person should know.
    """

    kind: str = KIND
    ranker: str
    experiment: Experiment
    pages: int
    people: int
    groups: dict[str, int]
    crossed: int
    ratio_p: float | None
    draft_p: float | None
    arms: tuple[Arm, ...]
    verdict: str
    notes: tuple[str, ...]


def judge(ranker: str, experiment: Experiment, seen: Seen) -> Judged:
    """Of all pages that a log has of an experiment."""
    sizes = [len(np.unique(seen.person[seen.group == group])) for group in range(len(experiment.groups))]
    people = len(np.unique(seen.person))
    ratio, draft = ratio_p(sizes, experiment.shares), draft_p(seen, experiment)
    broken = any(p is not None and p < ALARM for p in (ratio, draft))
    arms = (canary if experiment.kind == CANARY else interleaved)(experiment, seen, broken)
    return Judged(
        ranker=ranker,
        experiment=experiment,
        pages=len(seen),
        people=people,
        groups=dict(zip(experiment.groups, sizes, strict=True)),
        crossed=sum(sizes) - people,
        ratio_p=ratio,
        draft_p=draft,
        arms=arms,
        verdict=in_a_word(arms[1:], broken),
        notes=tuple(notes(experiment, arms, sum(sizes) - people)),
    )


def draft_p(seen: Seen, experiment: Experiment) -> float | None:
    """How probable it is that the coins which decide who drafts first fell as unevenly as this."""
    first = seen.begins[seen.begins != OUTSIDE]
    arms = len(experiment.arms)
    return ratio_p(np.bincount(first, minlength=arms).tolist(), [1 / arms] * arms)


def canary(experiment: Experiment, seen: Seen, broken: bool) -> tuple[Arm, ...]:
    """Each arm's own pages against the control's."""
    each = [seen.take(seen.group == group) for group in range(len(experiment.arms))]
    samples = [Sample.of(one.reward, one.person) for one in each]
    alpha = experiment.alpha / (len(each) - 1)
    thin = len(each[0]) < experiment.min_pages
    made = []
    for number, (one, sample) in enumerate(zip(each, samples, strict=True)):
        found = always.difference(sample, samples[0], alpha) if number else None
        exposed = sample.pages >= experiment.min_pages
        made.append(
            Arm(
                version=experiment.arms[number],
                group=experiment.groups[number],
                share=experiment.shares[number],
                pages=sample.pages,
                people=sample.people,
                clicked=int(one.clicked.sum()),
                reward=sample.mean if sample.pages else None,
                slots=0,
                fell_back=int(one.fell_back.sum()),
                difference=found,
                exposed=exposed,
                verdict=verdict(found, exposed and not thin, broken) if number else "",
            )
        )
    return tuple(made)


def interleaved(experiment: Experiment, seen: Seen, broken: bool) -> tuple[Arm, ...]:
    """Whose items earned more, page by page: each arm against the control.

    A page prefers the arm whose items earned more, and is a tie where both earned alike; pages on which
    neither earned anything say nothing (Chapelle, Joachims, Radlinski and Yue, "Large-Scale Validation and
    Analysis of Interleaved Search Evaluation", TOIS 2012).
    """
    pages = seen.take(seen.group == 1)
    alpha = experiment.alpha / (len(experiment.arms) - 1)
    drafted = int((pages.begins != OUTSIDE).sum())
    people, lost = len(np.unique(pages.person)), int(pages.fell_back.sum())
    made = []
    for number, version in enumerate(experiment.arms):
        sample = preferences(pages, number)
        found = always.mean(sample, alpha) if number else None
        exposed = drafted >= experiment.min_pages
        made.append(
            Arm(
                version=version,
                group=experiment.groups[1],
                share=experiment.shares[1],
                pages=len(pages) - lost,
                people=people,
                clicked=int((pages.credit[:, number] > 0).sum()),
                reward=(1 + sample.mean) / 2 if sample.pages and number else None,
                slots=int(pages.slots[:, number].sum()),
                fell_back=lost if number else 0,
                difference=found,
                exposed=exposed,
                verdict=verdict(found, exposed, broken) if number else "",
            )
        )
    return tuple(made)


def preferences(pages: Seen, arm: int) -> Sample:
    """+1, 0 or -1 of each page on which the arm or the control earned something."""
    mine, control = pages.credit[:, arm], pages.credit[:, 0]
    told = (mine + control) > 0
    return Sample.of(np.sign(mine - control)[told], pages.person[told])


def verdict(found: Interval | None, exposed: bool, broken: bool) -> str:
    """Of one arm against the control."""
    if broken:
        return MISMATCH
    if not exposed:
        return THIN
    if found is None or found.low <= 0 <= found.high:
        return RUNNING
    return BETTER if found.low > 0 else CONTROL_BETTER


def in_a_word(arms: tuple[Arm, ...], broken: bool) -> str:
    """Of the whole: one surely better arm is enough; the control is better once it is than all others."""
    told = [arm.verdict for arm in arms]
    if broken:
        return MISMATCH
    if BETTER in told:
        return BETTER
    if set(told) == {CONTROL_BETTER}:
        return CONTROL_BETTER
    return RUNNING if RUNNING in told or CONTROL_BETTER in told else THIN


def notes(experiment: Experiment, arms: tuple[Arm, ...], crossed: int) -> list[str]:
    """What a person should know beside the figures."""
    told = [
        f"{arm.version} failed on {arm.fell_back} pages, and the control answered them: what it would show is"
        " not what was shown"
        for arm in arms
        if arm.fell_back > FELL_BACK * arm.pages
    ]
    if crossed:
        told.append(
            f"{crossed} people have pages in more than one group; name users on all of their requests"
        )
    if any(arm.difference is None and arm.exposed for arm in arms[1:]):
        told.append(
            f"nothing is said before {always.PEOPLE} people a side, and {always.EVENTS} of them who did"
            f" something that counts ({experiment.metric})"
        )
    return told
