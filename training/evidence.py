"""Evidence for the gate: what evaluations say, whether golden scores reproduce, and how long they take."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from cascade import golden
from cascade.eventlog.windows import KEY as WINDOW
from cascade.eventlog.windows import learned_until, micros
from cascade.load import load_ranker
from cascade.manifest import GOLDEN, Manifest, read_manifest
from cascade.ranker import Ranker
from cascade.request import RankRequest
from features.batch import CandidateBatch
from features.errors import InvalidInput, NotFound, SluiceError
from training.experiments.evidence import Difference, tried_of
from training.experiments.judge import KIND as EXPERIMENT
from training.gate import Evidence, Judged, Logged
from training.learned import digests_of
from training.metrics import NDCG
from training.offpolicy.compare import KIND

ROUNDS = 15


def gather(
    candidate: Path, current: Path | None, name: str, files: list[Path], clock: Callable[[], float]
) -> Evidence:
    """What is known of a bundle that is to take another one's place.

    Args:
        current: directory of the version that serves; None = none does.
        files: evaluations as `sluice evaluate --json` and `sluice experiment status --json` write them.
        clock: seconds.

    Raises:
        NotFound, InvalidInput: for a file that is no evaluation, or a second one of the same kind.
    """
    found = read_evaluations(files)
    broken: tuple[str, ...] = ()
    ms: tuple[float | None, float | None] = None, None
    try:
        ms = timed(load_ranker(candidate, name), candidate, name, current, clock)
    except SluiceError as error:
        broken = (f"broken: {error}",)
    told = manifest(candidate)
    data = told.data if told else {}
    return Evidence(
        version=candidate.name,
        current=current.name if current else "",
        broken=broken,
        ms=ms[0],
        current_ms=ms[1],
        labels=labels_of(found["labels"], data) if "labels" in found else None,
        log=log_of(found[KIND], data) if KIND in found else None,
        experiment=tried_of(found[EXPERIMENT], candidate.name) if EXPERIMENT in found else None,
        held_out=main_metric(told),
        current_held_out=main_metric(manifest(current)) if current else "",
    )


def manifest(directory: Path) -> Manifest | None:
    """The manifest of a bundle; None where it cannot be read, which loading has told."""
    try:
        return read_manifest(directory).manifest
    except SluiceError:
        return None


def main_metric(told: Manifest | None) -> str:
    """What training reached, in words; "" where it did not say."""
    return next((f"{name} {value:.4f}" for name, value in told.metrics.items()), "") if told else ""


def timed(
    mine: Ranker, candidate: Path, name: str, current: Path | None, clock: Callable[[], float]
) -> tuple[float | None, float | None]:
    """Median milliseconds of a golden query of the candidate and of the one that serves, taking turns.

    None of the second where it cannot be loaded: it cannot be compared with.
    """
    try:
        theirs = load_ranker(current, name) if current else None
    except SluiceError:
        theirs = None
    if theirs is None or current is None:
        return None, None
    ours, others = golden_queries(candidate), golden_queries(current)
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS + 1):
        for into, ranker, queries in zip(spent, (mine, theirs), (ours, others), strict=True):
            into.append(seconds(ranker, queries, clock) / max(len(queries), 1))
    first, second = (1e3 * median(each[1:]) for each in spent)
    return first, second


def golden_queries(directory: Path) -> list[CandidateBatch]:
    """The golden queries of a bundle."""
    return [golden.load(query) for query in golden.read((directory / GOLDEN).read_bytes())]


def seconds(ranker: Ranker, queries: list[CandidateBatch], clock: Callable[[], float]) -> float:
    """Of ranking them all, one by one."""
    start = clock()
    for query in queries:
        ranker.rank(RankRequest(query))
    return clock() - start


def read_evaluations(files: list[Path]) -> dict[str, dict[str, Any]]:
    """`labels`, `off-policy` and `experiment` → the evaluation."""
    found: dict[str, dict[str, Any]] = {}
    for file in files:
        made = read_evaluation(file)
        kind = str(made["kind"]) if made.get("kind") in (KIND, EXPERIMENT) else "labels"
        if kind in found:
            raise InvalidInput(f"is a second evaluation of the same kind ({kind}); give one", path=str(file))
        found[kind] = made
    return found


def read_evaluation(file: Path) -> dict[str, Any]:
    """An evaluation's JSON."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except OSError:
        raise NotFound("cannot be read; write one with `sluice evaluate --json`", path=str(file)) from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput(f"is no evaluation: {error}", path=str(file)) from None


class Bounds(msgspec.Struct, frozen=True):
    """An interval, as evaluations on labels write it."""

    low: float
    high: float


class Against(msgspec.Struct, frozen=True):
    """How an evaluation compares two versions on labels."""

    version: str
    difference: float
    interval: Bounds


class OnLabels(msgspec.Struct, frozen=True):
    """What the gate reads of an evaluation on labels."""

    ranker: str
    queries: int
    against_version: Against | None = None
    digest: str = ""


def labels_of(made: Mapping[str, Any], data: Mapping[str, Any]) -> Judged:
    """The gain on labels; one without a compared version has none.

    Args:
        data: of the candidate's manifest.

    Raises:
        InvalidInput: if the file is not what `sluice evaluate --json` writes.
    """
    found = converted(made, OnLabels)
    version, against = found.ranker.rpartition("@")[2], found.against_version
    if against is None:
        return Judged(NDCG, 0.0, 0.0, 0.0, found.queries, version, "")
    return Judged(
        measure=NDCG,
        difference=against.difference,
        low=against.interval.low,
        high=against.interval.high,
        count=found.queries,
        version=version,
        against=against.version,
        digest=found.digest,
        learned=tuple(sorted(digests_of(data))),
    )


class Deciding(msgspec.Struct, frozen=True):
    """One estimator's answer."""

    family: str
    method: str
    difference: Difference


class OnLog(msgspec.Struct, frozen=True):
    """What the gate reads of an evaluation on a log."""

    version: str
    pages: int
    versions: dict[str, int]
    arms: dict[str, int]
    estimates: tuple[Deciding, ...]
    drift: dict[str, float] = {}
    refused: tuple[str, ...] = ()
    since: datetime | None = None


def log_of(made: Mapping[str, Any], data: Mapping[str, Any]) -> Logged:
    """The gain by the deciding estimator; `data` is of the candidate's manifest."""
    found = converted(made, OnLog)
    first = found.estimates[0] if found.estimates else Deciding("none", "", Difference(0.0, 0.0, 0.0))
    return Logged(
        measure=f"reward a page ({first.family}, {first.method})",
        difference=first.difference.value,
        low=first.difference.low,
        high=first.difference.high,
        count=found.pages,
        version=found.version,
        against="",
        versions=found.versions,
        arms=found.arms,
        refused=found.refused,
        drift=found.drift,
        drift_counts=WINDOW in data,
        since_us=micros(found.since) if found.since else 0,
        learned_until_us=learned_until(data),
    )


def converted(made: Mapping[str, Any], kind: type[Any]) -> Any:
    """A part of an evaluation, checked."""
    try:
        return msgspec.convert(made, kind)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"is no evaluation of `sluice evaluate --json`: {error}", path="--evaluation"
        ) from None
