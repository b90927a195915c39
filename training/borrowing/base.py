"""The base that tenants borrow from: a published ranker, and whose labels it has learned from.

A base that has learned from a tenant's labels scores that tenant's queries better than it will score new
ones, so that nothing could be judged by them. `sluice train-base` therefore parts its tenants, and keeps for
every part the stages as they were fitted without it (`stages/<name>/apart/<part>/`): a part's tenants are
compared with these.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import msgspec

from cascade.build import available
from cascade.config import CascadeConfig, parse_config
from cascade.consent import SOURCES
from cascade.load import load_ranker
from cascade.manifest import STAGES, Bundle, read_manifest
from cascade.names import check_name, parse_ranker
from cascade.pipeline import Step
from cascade.ranker import Ranker
from cascade.stages.lambdamart import WEIGHT, LambdaMart
from cascade.store import Store
from features.errors import InvalidInput, NotReady

APART = "apart"


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whose labels went into a model.

    Attributes:
        tenant: the name. `queries`: how many judged ones.
        digest: of the collection; "" = not told.
        part: the part that the tenant belongs to in a base that keeps parts; None = it keeps none.
    """

    tenant: str
    queries: int = 0
    digest: str = ""
    part: int | None = None


@dataclass(frozen=True, eq=False)
class Base:
    """A published ranker to borrow from.

    Attributes:
        name: `tenant/ranker@version`. `tenant`: whose it is.
        bundle, config, ranker: as it lies in the store, as it was declared, and loaded.
        private: those of its sources that do not share, for whom whoever borrows answers.
        loaded: part → the stages without it, as far as somebody asked.
    """

    name: str
    tenant: str
    bundle: Bundle
    config: CascadeConfig
    ranker: Ranker
    private: tuple[str, ...] = ()
    loaded: dict[int, tuple[Step, ...]] = field(default_factory=dict, repr=False)

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """Whose labels went in; of a ranker trained for one tenant, that tenant's."""
        data = self.bundle.manifest.data
        told = msgspec.convert(data.get(SOURCES, []), tuple[Source, ...])
        return told or (Source(self.tenant, int(data.get("queries", 0)), str(data.get("digest", ""))),)

    @property
    def takes_residual(self) -> bool:
        """Whether trees can be boosted from its last score: its last stage has to be a `lambdamart`."""
        return isinstance(self.config.stages[-1], LambdaMart)

    @property
    def stages(self) -> Path:
        """The folder of the stages' files."""
        return self.bundle.directory / STAGES

    def source_of(self, tenant: str, digest: str) -> Source | None:
        """What it has learned from a tenant, or from a collection with that digest; None = nothing."""
        same = (each for each in self.sources if each.tenant == tenant or (digest and each.digest == digest))
        return next(same, None)

    def steps(self, tenant: str, digest: str) -> tuple[Step, ...]:
        """Its stages as they are without the tenant's labels.

        Raises:
            InvalidInput: if it has learned from them and keeps no stages without them.
        """
        source = self.source_of(tenant, digest)
        if source is None:
            return self.ranker.steps
        if source.part is None:
            raise InvalidInput(
                f"{self.name} has learned from the labels of {source.tenant!r}, so it cannot be judged by"
                " them; make the base by `sluice train-base` of several tenants, or from other labels",
                path="--base",
            )
        if source.part not in self.loaded:
            self.loaded[source.part] = self._without(source.part)
        return self.loaded[source.part]

    def _without(self, part: int) -> tuple[Step, ...]:
        names, specs = self.ranker.features.names, self.config.stages
        folders = (apart(self.stages / spec.name, part) for spec in specs)
        return tuple(
            Step(spec, spec.load(folder, available(names, specs[:place])))
            for place, (spec, folder) in enumerate(zip(specs, folders, strict=True))
        )

    def copy_stages(self, directory: Path) -> None:
        """The stages' files as they serve, to a folder that is not there yet."""
        if self.stages.is_dir():
            shutil.copytree(self.stages, directory, ignore=shutil.ignore_patterns(APART))
        directory.mkdir(exist_ok=True)


def apart(folder: Path, part: int) -> Path:
    """A stage's folder without one part of the tenants; its own where it learns nothing from labels."""
    found = folder / APART / str(part)
    return found if found.is_dir() else folder


def open_base(store: Store, name: str) -> Base:
    """The base of a name `TENANT[/RANKER[@VERSION]]`, verified and loaded.

    Raises:
        InvalidInput: for a malformed name.
        NotFound, NotReady: if there is none, or none is promoted; if it borrows itself.
    """
    tenant, _, rest = name.partition("/")
    named = parse_ranker(rest, "--base")
    directory = store.path(check_name(tenant, "--base"), named.ranker, named.version)
    ranker, bundle = load_ranker(directory, named.ranker), read_manifest(directory)
    config = parse_config(bundle.source)
    if (directory / STAGES / config.stages[-1].name / WEIGHT).is_file():
        lender = bundle.manifest.data.get("borrowing", {}).get("base", "another")
        raise NotReady(f"{name} borrows from {lender} itself; name that one", path="--base")
    return Base(f"{tenant}/{named.ranker}@{bundle.version}", tenant, bundle, config, ranker)


def told(sources: Sequence[Source]) -> list[dict[str, object]]:
    """Sources as a manifest keeps them."""
    return [msgspec.to_builtins(each) for each in sources]
