"""The gate: whether a version may take the place of the one that serves. A decision on evidence alone.

Evidence is gathered elsewhere (`training/evidence.py`); here stand the rules, so that they can be read, and
tested against simulated rankers that are worse.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cascade.eventlog.windows import written


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gate asks for.

    Attributes:
        queries: judged ones, where labels decide. `pages`: logged ones, where the log decides.
        arm_pages: logged pages in every arm of an experiment.
        current_share: of the logged pages that the version that serves ranked.
        slower: times as slow as the version that serves, by more than `slower_ms` a query, is too slow.
        drift: a population stability index beyond this is another population.
    """

    queries: int = 100
    pages: int = 1_000
    arm_pages: int = 100
    current_share: float = 0.9
    slower: float = 2.0
    slower_ms: float = 1.0
    drift: float = 0.25


@dataclass(frozen=True, slots=True)
class Gain:
    """A difference from the version that serves, with its interval.

    Attributes:
        measure: of what, such as `nDCG@10`. `count`: judged queries, or logged pages.
        version, against: the candidate's, and what it was compared with ("" = not told).
    """

    measure: str
    difference: float
    low: float
    high: float
    count: int
    version: str
    against: str


@dataclass(frozen=True, slots=True)
class Judged(Gain):
    """The same, on labels.

    Attributes:
        digest: of the collection; "" = not told. `learned`: of those whose labels the candidate learned from.
    """

    digest: str = ""
    learned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Logged(Gain):
    """The same, estimated from a log.

    Attributes:
        versions, arms: what ranked the pages → pages. `refused`: why the log cannot answer.
        drift: feature → PSI. `drift_counts`: whether training saw pages too, so that a shift is one of
            time, and not of how candidates were chosen.
        since_us: where the pages begin. `learned_until_us`: where those end that the candidate learned from.
    """

    versions: Mapping[str, int]
    arms: Mapping[str, int]
    refused: tuple[str, ...] = ()
    drift: Mapping[str, float] | None = None
    drift_counts: bool = False
    since_us: int = 0
    learned_until_us: int = 0


@dataclass(frozen=True, slots=True)
class Tried(Gain):
    """The same, seen on live traffic, with bounds that hold at every look.

    Attributes:
        groups: what people were shown → pages. `refused`: why nothing can be told.
    """

    groups: Mapping[str, int]
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a candidate.

    Attributes:
        version, current: the candidate's, and the one that serves ("" = none does).
        broken: invariants that do not hold: digests, golden scores, a stage that fails.
        ms, current_ms: a golden query's median milliseconds; None = not measured.
        labels, log, experiment: what evaluations say; None = there is none.
        held_out, current_held_out: the main metric of both by their own trainings: told, but it decides
            nothing, having no interval.
    """

    version: str
    current: str
    broken: tuple[str, ...] = ()
    ms: float | None = None
    current_ms: float | None = None
    labels: Judged | None = None
    log: Logged | None = None
    experiment: Tried | None = None
    held_out: str = ""
    current_held_out: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """`reasons` against, none where it passes; `notes`: what spoke for it, and what was not checked."""

    passed: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...]


def decide(evidence: Evidence, limits: Limits) -> Decision:
    """Whether the candidate may serve.

    The first version of a ranker has nothing to be better than, but its invariants hold. Any other has to
    be better by the lower end of an interval, on labels, on the log or in an experiment; none may say that it
    is worse.
    """
    reasons = [*evidence.broken]
    notes: list[str] = []
    if evidence.current:
        for rule in (too_slow, unexposed, drifted):
            reasons += rule(evidence, limits)
        found, told = better(evidence, limits)
        reasons += found
        notes += told
        notes += unchecked(evidence)
    else:
        notes.append("no version serves yet, so there is nothing to be better than")
    return Decision(not reasons, tuple(reasons), tuple(notes))


def too_slow(evidence: Evidence, limits: Limits) -> Iterator[str]:
    """Latency on the golden queries."""
    mine, theirs = evidence.ms, evidence.current_ms
    if mine is None or theirs is None:
        return
    if mine > limits.slower * theirs and mine - theirs > limits.slower_ms:
        yield f"{mine:.1f} ms a golden query, {mine / theirs:.1f} times the {theirs:.1f} ms of what serves"


def better(evidence: Evidence, limits: Limits) -> tuple[list[str], list[str]]:
    """(reasons against, what speaks for it). A side that cannot answer leaves the answer to the other."""
    sides = {
        "labels": (evidence.labels, label_troubles(evidence, limits)),
        "the log": (evidence.log, log_troubles(evidence, limits)),
        "the experiment": (evidence.experiment, experiment_troubles(evidence)),
    }
    given = {name: found for name, (found, troubles) in sides.items() if found is not None and not troubles}
    silent = [f"{name}: {why}" for name, (_, troubles) in sides.items() for why in troubles]
    worse = [f"{name}: worse, {told(gain)}" for name, gain in given.items() if gain.high < 0]
    ahead = [f"{name}: better, {told(gain)}" for name, gain in given.items() if gain.low > 0]
    if worse:
        return worse, []
    if ahead:
        return [], [*ahead, *silent]
    unsure = [f"{name}: not surely better, {told(gain)}" for name, gain in given.items()]
    return [*unsure, *silent] or ["no evidence that it is better"], []


def label_troubles(evidence: Evidence, limits: Limits) -> list[str]:
    """Why the evaluation on labels says nothing of this promotion."""
    gain = evidence.labels
    if gain is None:
        return []
    found = list(same_versions(gain, evidence))
    if gain.against != evidence.current:
        found.append(f"compared with {gain.against or 'nothing'}, while {evidence.current} serves")
    if gain.digest and gain.digest in gain.learned:
        found.append("the version learned from these very judgments; evaluate it on others (--queries)")
    if gain.count < limits.queries:
        found.append(f"{gain.count} judged queries; at least {limits.queries} are needed")
    return found


def log_troubles(evidence: Evidence, limits: Limits) -> list[str]:
    """Why the log says nothing of this promotion."""
    log = evidence.log
    if log is None:
        return []
    found = [*same_versions(log, evidence), *log.refused]
    if log.since_us < log.learned_until_us:
        found.append(
            f"it holds pages from before {written(log.learned_until_us)}, when the version finished learning;"
            " run `sluice evaluate --log` anew, which leaves them out"
        )
    if log.count < limits.pages:
        found.append(f"{log.count} pages; at least {limits.pages} are needed")
    share = log.versions.get(evidence.current, 0) / max(sum(log.versions.values()), 1)
    if share < limits.current_share:
        found.append(f"{share:.0%} of the pages are by {evidence.current}, which serves; use --against")
    return found


def experiment_troubles(evidence: Evidence) -> list[str]:
    """Why the experiment says nothing of this promotion."""
    tried = evidence.experiment
    if tried is None:
        return []
    found = [*same_versions(tried, evidence), *tried.refused]
    if tried.against != evidence.current:
        found.append(f"compared with {tried.against or 'nothing'}, while {evidence.current} serves")
    return found


def unexposed(evidence: Evidence, limits: Limits) -> Iterator[str]:
    """Arms of an experiment that hardly anybody has seen."""
    arms = dict(evidence.log.arms) if evidence.log else {}
    arms |= evidence.experiment.groups if evidence.experiment else {}
    for arm, pages in arms.items():
        if pages < limits.arm_pages:
            yield f"{pages} pages in arm {arm!r}; at least {limits.arm_pages} are needed"


def drifted(evidence: Evidence, limits: Limits) -> Iterator[str]:
    """Features that are another population now than when the candidate learned."""
    log = evidence.log
    for name, value in (log.drift or {}).items() if log and log.drift_counts else ():
        if value > limits.drift:
            yield f"feature {name} has drifted since training (PSI {value:.2f})"


def same_versions(gain: Gain, evidence: Evidence) -> Iterator[str]:
    """Whether the evaluation is of this candidate."""
    if gain.version != evidence.version:
        yield f"the evaluation is of version {gain.version}, not of {evidence.version}"


def unchecked(evidence: Evidence) -> Iterator[str]:
    """What nobody looked at, or what does not count."""
    if evidence.held_out and evidence.current_held_out:
        both = f"{evidence.held_out} ({evidence.current_held_out} of what serves)"
        yield f"training's own held-out {both} decides nothing, as it has no interval"
    if evidence.ms is None or evidence.current_ms is None:
        yield "latency was not compared"
    log = evidence.log
    if log is None:
        yield "feature drift and exposure were not checked: there is no evaluation on a log"
    elif not log.drift:
        yield "feature drift was not checked: the bundle keeps no profile of its training features"
    elif not log.drift_counts:
        most = "{} {:.2f}".format(*next(iter(log.drift.items())))
        yield f"feature drift does not count, as training saw no logged pages; the largest PSI: {most}"


def told(gain: Gain) -> str:
    """A gain in words."""
    return f"{gain.measure} {gain.difference:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] over {gain.count}"
