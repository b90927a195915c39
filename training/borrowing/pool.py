"""A base for everybody: one cascade over the collections of the tenants that agreed to share.

Only tenants whose declaration says `share_with_base` are learned from, and the manifest lists them. Each
keeps its own documents under a name of its own; what features learn of words is learned from all of them
together.
"""

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from cascade.bundle import Draft, write_bundle
from cascade.config import CascadeConfig
from cascade.consent import SOURCES, shares
from cascade.golden import sample
from cascade.tenants import Tenants
from features.columns import Rows
from features.errors import InvalidInput
from features.featureset import FeatureSet
from training.borrowing.base import APART, Source, told
from training.borrowing.members import Member
from training.collection import Collection
from training.dataset import StageData
from training.documents import Documents
from training.drift import profile_entry
from training.fit import fit_cascade
from training.publish import Target, Task, Trained, train
from training.split import folds_of
from training.trainers import Context, trainer_of

BETWEEN = "/"
"""Between a tenant's name and an id of its own; no name has it."""


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Several tenants' collections as one.

    Attributes:
        collection: documents and queries of all, `tenant/id`.
        members: the tenant of every query id. `digests`: tenant → its collection's digest.
    """

    collection: Collection
    members: Mapping[str, str]
    digests: Mapping[str, str]


def sharing(members: Iterable[Member], tenants: Tenants) -> tuple[tuple[Member, ...], tuple[str, ...]]:
    """The tenants that agreed to share, and the names of the others."""
    every = tuple(members)
    agreed = tuple(each for each in every if not each.problem and shares(tenants, each.tenant))
    return agreed, tuple(each.tenant for each in every if each not in agreed)


def pooled(collections: Mapping[str, Collection]) -> Pool:
    """The collections of some tenants as one.

    Raises:
        InvalidInput: if there is no judged query among them.
    """
    ids: dict[str, int] = {}
    rows: list[Mapping[str, object]] = []
    queries, grades, members = {}, {}, {}
    for tenant, each in collections.items():
        prefix = tenant + BETWEEN
        ids |= {prefix + name: len(rows) + row for name, row in each.documents.ids.items()}
        rows += each.documents.rows
        for key, query in each.queries.items():
            queries[prefix + key] = replace(query, id=prefix + key)
            grades[prefix + key] = {prefix + name: grade for name, grade in each.grades[key].items()}
            members[prefix + key] = tenant
    if not queries:
        raise InvalidInput("no tenant that shares has a judged query")
    notes = tuple(f"{tenant}: {note}" for tenant, each in collections.items() for note in each.notes)
    digests = {tenant: each.digest for tenant, each in collections.items()}
    part = " ".join(f"{tenant}={digest}" for tenant, digest in digests.items())
    return Pool(Collection(Documents(ids, rows), queries, grades, notes, part=part), members, digests)


def train_base(
    task: Task, pool: Pool, parts: int, target: Target, context: Context, now: datetime
) -> tuple[str, Trained, tuple[Source, ...]]:
    """Fit a cascade on the pool, and once without each part of its tenants; publish it.

    Args:
        task: the cascade over the pool's collection.
        parts: into how many its tenants are parted; each can then be compared with a base that has not seen
            it. 0 = none: such a tenant cannot borrow.
    """
    with tempfile.TemporaryDirectory() as scratch:
        files, bundle = Path(scratch) / "stages", Path(scratch) / "bundle"
        features, data, trained = train(task, files, context)
        owners = [pool.members[query.id] for query in data.batch.queries]
        part = parted(owners, parts, context.seed)
        for number in context.track(sorted(set(part.values())), "without a part of the tenants"):
            kept = np.flatnonzero([part[owner] != number for owner in owners])
            fit_apart(task.config, data.queries(kept), files, number, context)
        sources = tuple(
            Source(tenant, owners.count(tenant), digest, part.get(tenant))
            for tenant, digest in pool.digests.items()
        )
        write_bundle(bundle, drafted(task, target, features, data, trained, sources, files), now)
        version = target.store.publish(target.tenant, target.ranker, bundle)
    return version, trained, sources


def fit_apart(config: CascadeConfig, data: StageData, files: Path, part: int, context: Context) -> None:
    """The stages that learn, fitted without one part, in a folder beside the files that serve."""
    without = replace(context.of(f"apart/{part}"), figures=False)
    with tempfile.TemporaryDirectory() as made:
        fit_cascade(config, data, Path(made), without)
        for spec in config.stages:
            if trainer_of(spec).learns(spec):
                shutil.copytree(Path(made) / spec.name, files / spec.name / APART / str(part))


def drafted(
    task: Task, target: Target, features: FeatureSet, data: StageData, trained: Trained,
    sources: Sequence[Source], files: Path,
) -> Draft:  # fmt: skip
    """The base's bundle, which tells whose labels went in."""
    about = {
        **trained.data,
        "collection": f"a pool of {len(sources)} tenants",
        "fits": {stage.name: dict(stage.fit) for stage in trained.stages},
        SOURCES: told(sources),
        **profile_entry(data.matrix),
    }
    metrics = trained.metrics.get(task.config.stages[-1].name, {})
    return Draft(target.ranker, task.config, features, files, sample(data.batch), metrics, about)


def parted(owners: Sequence[str], parts: int, seed: int) -> dict[str, int]:
    """Tenant → its part; parts hold about as many queries each. None where there are no two tenants."""
    names, number = np.unique(owners, return_inverse=True)
    if parts < 2 or len(names) < 2:
        return {}
    fold: Rows = folds_of(number.astype(np.int64), parts, seed)
    return {str(name): int(fold[np.flatnonzero(number == at)[0]]) for at, name in enumerate(names)}
