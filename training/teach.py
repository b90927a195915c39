"""Has a teacher score every candidate of a collection, and writes what it says to a Parquet file.

Scores are kept in parts beside the file until the last one is there, so that a run that was killed goes on
with the part that it was at; the file itself appears whole or not at all.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cascade.deadline import NEVER
from cascade.files import make_directory, replace_durably, sync_directory, sync_file
from cascade.golden import run
from cascade.pipeline import Step
from cascade.ranker import Ranker
from cascade.stage import SCORE
from cascade.stages.cross_encoder import CrossEncoder
from features.batch import CandidateBatch
from features.columns import Floats, Input
from features.errors import Conflict, InvalidInput, NotFound
from features.featureset import FeatureSet
from features.matrix import FeatureMatrix
from features.transformer.model import read_notes
from training.collection import Collection
from training.dataset import build_batch, chunked, part, rows_of
from training.progress import Track, quiet
from training.runs import Lists
from training.teacher import SCHEMA

PART_ROWS = 2_000
PLAN = "plan.json"


class Scorer(Protocol):
    """A teacher at hand.

    Attributes:
        identity: what it is, with its version.
        inputs: the candidate columns that it reads.
    """

    identity: str
    inputs: tuple[Input, ...]

    def __call__(self, batch: CandidateBatch) -> Floats:
        """float32[n], NaN where a candidate cannot be scored."""
        ...


class StageScorer:
    """A stage of a ranker, over all candidates: no earlier stage cuts any."""

    def __init__(self, ranker: Ranker, stage: str = "") -> None:
        names = [step.spec.name for step in ranker.steps]
        if stage and stage not in names:
            raise NotFound(f"the ranker has no stage {stage!r}; it has {', '.join(names)}", path="--stage")
        self.features: FeatureSet = ranker.features
        self.stage = stage or names[-1]
        self.steps = needed(ranker.steps, self.stage)
        self.identity = f"{ranker.name}@{ranker.version}/{self.stage}"
        self.inputs = ranker.inputs

    def __call__(self, batch: CandidateBatch) -> Floats:
        """The stage's scores, after those of the stages that it reads."""
        made = run(batch, self.features.compute(batch), self.steps)
        return made.scores[self.stage]


def needed(steps: Sequence[Step], stage: str) -> tuple[Step, ...]:
    """The stage and all whose scores it reads, in their order."""
    wanted = {stage}
    for step in reversed(steps):
        if step.spec.name in wanted:
            reads = (name for name in step.stage.reads if name.startswith(SCORE))
            wanted |= {name.removeprefix(SCORE) for name in reads}
    return tuple(step for step in steps if step.spec.name in wanted)


class WeightsScorer:
    """An exported cross-encoder by itself."""

    def __init__(self, directory: Path, spec: CrossEncoder) -> None:
        self.model = spec.load(directory, ())
        self.inputs = spec.inputs
        self.identity = f"{directory.name}@{read_notes(directory).digest[:16]}"
        self.identity += f" ({spec.template or ', '.join(spec.fields)}; {spec.max_tokens} tokens)"

    def __call__(self, batch: CandidateBatch) -> Floats:
        """The model's scores."""
        matrix = FeatureMatrix(np.empty((len(batch), 0), np.float32), (), batch.offsets, "")
        return self.model.score(batch, matrix, NEVER).scores


@dataclass(frozen=True, slots=True)
class Taught:
    """What was written.

    Attributes:
        pairs: with a score.
        unscored: candidates that the teacher gave none, such as those without text; not in the file.
        resumed: pairs that an earlier run had scored.
    """

    teacher: str
    queries: int
    pairs: int
    unscored: int
    resumed: int


def teach(collection: Collection, lists: Lists, scorer: Scorer, out: Path, track: Track = quiet) -> Taught:
    """Score every candidate and write the file that `train.teacher` reads.

    Raises:
        Conflict: if the parts beside the file are of another teacher, collection or candidates.
        InvalidInput: if there are no candidates, or none can be scored.
    """
    batch = build_batch(collection, lists, scorer.inputs)
    if not len(batch):
        raise InvalidInput("there are no candidates to score", path="--candidates")
    parts = Parts(out.with_name(f"{out.name}.parts"), fingerprint(collection, batch, scorer))
    parts.open()
    chunks = list(enumerate(chunked(batch.offsets, PART_ROWS)))
    left = [(number, queries) for number, queries in chunks if not parts.file(number).is_file()]
    resumed = parts.rows()
    for number, queries in track(left, f"scoring by {scorer.identity}"):
        some = part(batch, queries, rows_of(batch.offsets, queries))
        parts.write(number, scored(some, scorer(some)))
    pairs = parts.join(out, scorer.identity)
    return Taught(scorer.identity, len(batch.queries), pairs, len(batch) - pairs, resumed)


def scored(batch: CandidateBatch, scores: Floats) -> pa.Table:
    """The rows that have a score."""
    rows = np.flatnonzero(np.isfinite(scores))
    owners = batch.query_of_row[rows].tolist()
    columns = [
        [batch.queries[owner].id for owner in owners],
        [batch.ids[row] for row in rows.tolist()],
        scores[rows],
    ]
    return pa.table(dict(zip(SCHEMA.names, columns, strict=True)), schema=SCHEMA)


def fingerprint(collection: Collection, batch: CandidateBatch, scorer: Scorer) -> str:
    """Of all that decides the scores."""
    digest = sha256(f"{scorer.identity}\0{collection.digest}\0{PART_ROWS}\0".encode())
    digest.update(batch.offsets.tobytes())
    digest.update("\0".join(batch.ids).encode("utf-8", "replace"))
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Parts:
    """The scores that are there so far, a file a part."""

    folder: Path
    fingerprint: str

    def open(self) -> None:
        """Make the folder, or see that it is of the same scoring.

        Raises:
            Conflict: if it is of another.
        """
        plan = self.folder / PLAN
        if not plan.is_file():
            make_directory(self.folder)
            replace_durably(plan, msgspec.json.encode({"fingerprint": self.fingerprint}))
        elif msgspec.json.decode(plan.read_bytes()).get("fingerprint") != self.fingerprint:
            raise Conflict(
                "holds the scores of another teacher, collection or candidates; remove it, or name another"
                " --out",
                path=str(self.folder),
            )

    def file(self, number: int) -> Path:
        """Where a part stands."""
        return self.folder / f"part-{number:06}.parquet"

    def write(self, number: int, table: pa.Table) -> None:
        """A part, whole or not at all."""
        made = self.folder / f".part-{number:06}"
        pq.write_table(table, made)
        made.replace(self.file(number))

    def files(self) -> list[Path]:
        """The parts there are, in order."""
        return sorted(self.folder.glob("part-*.parquet"))

    def rows(self) -> int:
        """The pairs in the parts."""
        return sum(pq.read_metadata(path).num_rows for path in self.files())

    def join(self, out: Path, teacher: str) -> int:
        """All parts as one file, in place of `out`; the pairs in it.

        Raises:
            InvalidInput: if no candidate has a score.
        """
        pairs = self.rows()
        if not pairs:
            raise InvalidInput(f"{teacher} gave no candidate a score; has any of them a text?")
        made = out.with_name(f".{out.name}.new")
        with pq.ParquetWriter(made, SCHEMA.with_metadata({"teacher": teacher})) as writer:
            for path in self.files():
                writer.write_table(pq.read_table(path))
        sync_file(made)
        made.replace(out)
        sync_directory(out.parent)
        shutil.rmtree(self.folder)
        return pairs
