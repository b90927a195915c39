"""Many tenants in one run: in parallel, each by itself, and going on where a killed run was.

The work folder keeps two files a tenant: `NAME.begun.json`, when its fit began, and `NAME.json`, what came of
it; both with a key of all that went in. A tenant that is done under the same key is not fitted again. One
that was being fitted when the run was killed is, and as its bundle is dated as before, it publishes the same
version.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from cascade.config import parse_config
from cascade.files import make_directory, replace_durably
from cascade.store import DirectoryStore
from cascade.unasked import promote_unasked
from features.errors import SluiceError
from training.borrowing.base import Base, open_base
from training.borrowing.borrow import borrow_and_publish
from training.borrowing.choose import Choice, Settings
from training.borrowing.evidence import Figure
from training.borrowing.members import Member
from training.publish import Target, Task
from training.trainers import Context

DONE = "tenants"
Result = Literal["base", "residual", "own", "failed"]
T = TypeVar("T")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same for all tenants of a run.

    Attributes:
        store: the folder. `base`: `tenant/ranker@version`, pinned. `ranker`: the name it is published under.
        config: the tenants' own cascade, as TOML; "" = the base's.
        candidates, seed, promote: as for `sluice train`.
        now: the time of the run.
        private: sources of the base that do not share, for whom whoever runs it answers.
    """

    store: str
    base: str
    ranker: str
    config: str
    candidates: str
    seed: int
    promote: bool
    now: datetime
    private: tuple[str, ...] = ()


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of a tenant.

    Attributes:
        kind: what was chosen, or that it failed.
        version: that was published. `weight`: of the residual. `queries`: judged ones.
        figures, gains: nDCG@10 on held-out queries, and over the base.
        reasons: of the choice, or why it failed.
        key: of all that went in.
    """

    tenant: str
    kind: Result
    version: str = ""
    weight: float = 0.0
    queries: int = 0
    figures: dict[str, Figure] = {}
    gains: dict[str, Figure] = {}
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    key: str = ""

    @property
    def gain(self) -> float:
        """Over the base, in nDCG@10 on held-out queries."""
        return self.gains[self.kind].mean if self.kind in self.gains else 0.0


def failed(tenant: str, reason: str) -> Outcome:
    """A tenant for which nothing was published."""
    return Outcome(tenant=tenant, kind="failed", reasons=(reason,))


class Begun(msgspec.Struct, frozen=True):
    """When a tenant's fit with that key began."""

    key: str
    time: datetime


def train_one(member: Member, job: Job, work: Path) -> Outcome:
    """One tenant, unless it is done; whatever goes wrong is its outcome alone."""
    try:
        return trained(member, job, work)
    except SluiceError as error:
        return failed(member.tenant, str(error))
    except Exception as error:  # one tenant's surprise is not the others'
        return failed(member.tenant, f"{type(error).__name__}: {error}")


def trained(member: Member, job: Job, work: Path) -> Outcome:
    """One tenant, unless it is done.

    Raises:
        InvalidInput: for a name or data that cannot be right.
    """
    if member.problem:
        return failed(member.tenant, member.problem)
    collection = member.collection()
    private = tuple(name for name in job.private if name != member.tenant)
    base = replace(opened_base(job.store, job.base), private=private)
    key = key_of(collection.digest, job)
    folder = work / DONE
    done = read_as(folder / f"{member.tenant}.json", Outcome)
    store = DirectoryStore(Path(job.store))
    if done is None or done.key != key or done.version not in known(store, member.tenant, job.ranker):
        config = parse_config(job.config) if job.config else base.config
        task = Task(config, collection, job.candidates)
        context = Context(job.seed, work=work / "fits" / member.tenant)
        target = Target(store, member.tenant, job.ranker)
        now = begun(folder / f"{member.tenant}.begun.json", key, job.now)
        made = borrow_and_publish(task, target, base, Settings(), context, now)
        done = outcome(member.tenant, made.version, made.choice, made.notes, key)
        replace_durably(folder / f"{member.tenant}.json", msgspec.json.encode(done))
    if job.promote:
        promote_unasked(store, member.tenant, job.ranker, done.version, "sluice train-tenants", job.now)
    return done


def outcome(tenant: str, version: str, choice: Choice, notes: Sequence[str], key: str) -> Outcome:
    """What came of a tenant that went well."""
    return Outcome(
        tenant=tenant,
        kind=choice.kind,
        version=version,
        weight=choice.weight,
        queries=choice.queries,
        figures={str(kind): figure for kind, figure in choice.figures.items()},
        gains={str(kind): figure for kind, figure in choice.gains.items()},
        reasons=choice.reasons,
        notes=tuple(notes),
        key=key,
    )


def key_of(digest: str, job: Job) -> str:
    """What a tenant's ranker follows from: another key, another ranker."""
    told = [digest, job.base, job.config, job.candidates, job.seed, job.ranker, *job.private]
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()


def begun(path: Path, key: str, now: datetime) -> datetime:
    """When the fit with that key began: now, unless it was begun before."""
    found = read_as(path, Begun)
    if found is None or found.key != key:
        make_directory(path.parent)
        found = Begun(key, now)
        replace_durably(path, msgspec.json.encode(found))
    return found.time


def read_as(path: Path, kind: type[T]) -> T | None:
    """What a file of the work folder holds; None where there is none, or an older Sluice wrote it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def known(store: DirectoryStore, tenant: str, ranker: str) -> tuple[str, ...]:
    """The versions of a ranker that may not be there at all."""
    try:
        return store.versions(tenant, ranker)
    except SluiceError:
        return ()


@lru_cache(maxsize=1)
def opened_base(store: str, name: str) -> Base:
    """The base, verified and loaded once a process."""
    return open_base(DirectoryStore(Path(store)), name)
