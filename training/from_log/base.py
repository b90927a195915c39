"""The bundle that serves while its log is learned from: its features as they learned, its stages to keep."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cascade import golden
from cascade.config import CascadeConfig, parse_config
from cascade.eventlog.windows import KEY, edge
from cascade.load import load_features
from cascade.manifest import FEATURES, GOLDEN, STAGES, Bundle, open_bundle
from cascade.stage import StageSpec
from cascade.stages.lambdamart import MODEL, RESIDUAL, LambdaMart, check_columns, read_booster
from cascade.states import load_states
from cascade.store import Store
from features.batch import CandidateBatch, Query
from features.columns import Column, missing
from features.errors import NotFound, NotReady, SluiceError
from features.featureset import FeatureSet
from training.publish import inputs_of


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """The promoted bundle, verified."""

    bundle: Bundle
    config: CascadeConfig

    @property
    def until_us(self) -> int | None:
        """Where its data window ended; None = it learned from no log."""
        found = self.bundle.manifest.data.get(KEY)
        return edge(found.get("until"), 0) or None if isinstance(found, dict) else None

    @property
    def since_us(self) -> int | None:
        """Where it began."""
        found = self.bundle.manifest.data.get(KEY)
        return edge(found.get("since"), 0) if isinstance(found, dict) else None

    def features(self, config: CascadeConfig) -> FeatureSet:
        """The config's features with what they had learned when this bundle was trained.

        Raises:
            NotReady: if they are other features than the bundle's.
        """
        own = load_features(self.bundle, self.config)
        found = load_states(self.bundle.directory / FEATURES, config.feature_set())
        if found.fingerprint != own.fingerprint:
            raise NotReady(
                f"the features of --config are not those of the promoted bundle {self.bundle.version}, so"
                " that it logged other numbers; keep the [[features]] of its cascade.toml, or train the"
                " new ones from a collection first (--collection)",
                path="--config",
            )
        return found

    def spec(self, name: str) -> StageSpec | None:
        """The stage of that name."""
        return next((spec for spec in self.config.stages if spec.name == name), None)

    def has(self, spec: StageSpec) -> bool:
        """Whether it has a stage of that name and kind."""
        own = self.spec(spec.name)
        return own is not None and own.kind == spec.kind

    def copy(self, spec: StageSpec, folder: Path) -> None:
        """A stage's files as they are.

        Raises:
            NotReady: if the bundle has no such stage.
        """
        if not self.has(spec):
            raise no_stage(spec)
        source = self.bundle.directory / STAGES / spec.name
        if source.is_dir():
            shutil.copytree(source, folder, dirs_exist_ok=True)

    def booster(self, spec: LambdaMart, reads: tuple[str, ...]) -> tuple[Path | None, str]:
        """(the model to go on from, ""), or (None, why there is none)."""
        folder = self.bundle.directory / STAGES / spec.name
        if not isinstance(self.spec(spec.name), LambdaMart):
            return None, f"the promoted bundle has no LambdaMART stage {spec.name!r}"
        if (folder / RESIDUAL).is_file():
            return None, f"stage {spec.name!r} of the promoted bundle is a base with a residual"
        try:
            check_columns(read_booster(folder / MODEL, spec.name), reads, spec.name)
        except SluiceError as error:
            return None, error.message
        return folder / MODEL, ""

    def golden(self) -> CandidateBatch:
        """The inputs of its golden queries."""
        queries = golden.read((self.bundle.directory / GOLDEN).read_bytes())
        return together([golden.load(query) for query in queries])


def open_base(store: Store, tenant: str, ranker: str) -> Base | None:
    """The promoted bundle of a ranker; None where nothing is promoted."""
    try:
        directory = store.path(tenant, ranker)
    except (NotFound, NotReady):
        return None
    bundle = open_bundle(directory)
    return Base(bundle, parse_config(bundle.source))


def no_stage(spec: StageSpec) -> NotReady:
    """The error for a stage that can neither be learned nor kept."""
    return NotReady(
        f"stage {spec.name!r} ({spec.kind}) reads what a log does not hold, and no promoted bundle has it;"
        " train the cascade from a collection first (--collection), and promote it",
        path=f"$.stages[{spec.name}]",
    )


def together(batches: list[CandidateBatch]) -> CandidateBatch:
    """Batches of one query each as one."""
    names = dict.fromkeys(name for batch in batches for name in batch.columns)
    offsets = np.concatenate([[0], np.cumsum([len(batch) for batch in batches])])
    ids = [one for batch in batches for one in batch.ids]
    columns = {name: stacked([batch.columns[name] for batch in batches]) for name in names}
    return CandidateBatch(tuple(batch.queries[0] for batch in batches), ids, offsets, columns)


def stacked(columns: list[Column]) -> Column:
    """Columns of one kind, one below the other."""
    values = [column.values for column in columns]
    if isinstance(values[0], np.ndarray):
        return Column(columns[0].kind, np.concatenate(values))
    return Column(columns[0].kind, [value for part in values for value in part])


def unknown_candidates(config: CascadeConfig, ids: tuple[str, ...]) -> CandidateBatch:
    """A golden query where no bundle has any: candidates of which nothing but the id is known."""
    few = list(ids[:3])
    columns = {
        read.name: missing(read.kind, len(few)) for read in inputs_of(config.feature_set(), config.stages)
    }
    return CandidateBatch((Query("", id="unknown"),), few, np.array([0, len(few)]), columns)
