"""The `cross_encoder` stage: a small transformer reads the query together with each candidate's text.

The model is a packed int8 graph (`training/export`). Pairs go through a scheduler that all requests share
(`features/transformer/scheduler.py`): candidates best first, so that what is done when time runs out is the
best part, and every few milliseconds the deadline is looked at. Long documents may be read in passages.

Passage re-ranking with a cross-encoder: Nogueira and Cho 2019, "Passage Re-ranking with BERT".
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec

from cascade.deadline import Deadline
from cascade.stage import CHARACTERS_OF_A_TOKEN, Passage, Span, StageResult, StageSpec
from cascade.stages.blend import ZSCORE, blended, check_blend
from cascade.stages.cross_encoding.run import Run
from cascade.stages.cross_encoding.template import documents, parse_template
from cascade.stages.cross_encoding.training import CrossEncoderTraining
from cascade.stages.embedded import EMBEDDED
from cascade.stages.linear import Normalise
from features.batch import CandidateBatch
from features.columns import Input, Kind
from features.errors import NotReady
from features.matrix import FeatureMatrix
from features.transformer.loaded import Model, load_model
from features.transformer.model import SCORE
from features.transformer.passages import Passages, characters
from features.transformer.scheduler import SCHEDULERS, Scheduler
from features.transformer.session import SESSIONS, Sessions
from features.transformer.tokens import CACHES, CHARACTERS_A_TOKEN, SPECIAL, Pairing

Positive = Annotated[int, msgspec.Meta(ge=1)]


class CrossEncoder(StageSpec, frozen=True, kw_only=True):
    """A cross-encoder over text fields.

    Attributes:
        fields: the text columns that make the document.
        template: how, such as `"{title}. {body}"`; without one, those that are there joined with ". ".
        max_tokens: of query and document together, special tokens included; more is cut and reported.
        query_tokens: what the query keeps of them beside a long document.
        passages: read documents that are longer than a passage in several; without it, their beginning.
        batch_tokens: of a micro-batch at most; between 192 and 768 fits processor caches.
        cache_mb: for the tokens of documents, by content.
        weights: where training starts: `embedded`, or the directory of a checkpoint.
        blend: columns to weigh the score against, and their weights beside its own 1
            (`cascade/stages/blend.py`); without it the score is the raw logit.
        normalise: how the parts of the blend are put on one scale within the query's candidates, as in a
            `linear` stage; `none` = each as it is.
        train: how training goes on from there.
    """

    kind: ClassVar[str] = "cross_encoder"
    tolerance: ClassVar[float] = 0.02
    """Of another machine: its sums round differently, and a value may fall on the next int8 step. On one
    machine calibrated int8 gives the same bits in any batch."""

    fields: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("title", "body")
    template: str = ""
    max_tokens: Annotated[int, msgspec.Meta(ge=8, le=4096)] = 256
    query_tokens: Positive = 64
    passages: Passages | None = None
    batch_tokens: Positive = 512
    cache_mb: Annotated[int, msgspec.Meta(ge=0)] = 64
    weights: str = EMBEDDED
    blend: dict[str, float] = msgspec.field(default_factory=dict)
    normalise: Normalise = ZSCORE
    train: CrossEncoderTraining = CrossEncoderTraining()

    def __post_init__(self) -> None:
        if self.template:
            parse_template(self.template, self.fields)
        if self.query_tokens >= self.max_tokens - SPECIAL:
            raise ValueError(f"query_tokens must leave more than {SPECIAL} of max_tokens for the document")
        if self.passages and self.passages.tokens + self.query_tokens + SPECIAL > self.max_tokens:
            raise ValueError(f"passages.tokens, query_tokens and {SPECIAL} must fit into max_tokens")
        check_blend(self.blend, self.normalise)

    @property
    def listwise(self) -> bool:
        """True where the score is weighed against columns on the scale of the list."""
        return bool(self.blend) and self.normalise != "none"

    def columns(self, features: tuple[str, ...]) -> tuple[str, ...]:  # noqa: ARG002 (it names its own)
        """The columns that the score is weighed against."""
        return tuple(self.blend)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Its text fields."""
        return tuple(Input(name, Kind.TEXT) for name in self.fields)

    def documents(self, batch: CandidateBatch) -> list[str]:
        """The text that the model reads of every candidate; empty where there is none."""
        return documents(batch, self.fields, self.template)

    def tokens(self, characters: float) -> float:
        """As long as the text is, up to what is read of it."""
        most = self.passages.reads if self.passages else self.max_tokens
        return min(float(most), characters / CHARACTERS_OF_A_TOKEN or self.max_tokens)

    def load(self, directory: Path, features: tuple[str, ...]) -> "LoadedCrossEncoder":  # noqa: ARG002
        """The stage from model.onnx, tokenizer.json and model.json in `directory`.

        Raises:
            NotReady: if a file is missing or does not fit the others.
            Corrupt: if model.onnx is not the one that model.json was written for.
        """
        return load_cross_encoder(self, directory, SESSIONS)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedCrossEncoder:
    """A cross-encoder that is ready. With calibrated int8 (`model.notes.independent`) a pair's score is the
    same to the bit in any company; otherwise it is within the deviation that `model.notes.parity` states."""

    spec: CrossEncoder
    model: Model
    pairing: Pairing
    scheduler: Scheduler

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that the score is weighed against; the model itself reads texts."""
        return tuple(self.spec.blend)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Its text fields."""
        return self.spec.inputs

    def score(self, batch: CandidateBatch, matrix: FeatureMatrix, deadline: Deadline) -> StageResult:
        """Logits, raw or blended, `float32[n]`; NaN with an outcome for a candidate that cannot be read."""
        run = Run(self.pairing, self.spec.passages, batch, self.spec.documents(batch))
        result = run.result(self.scheduler.run(run.windows(), deadline, self.spec.batch_tokens))
        spec = self.spec
        return replace(result, scores=blended(result.scores, matrix, spec.blend, spec.normalise))

    def quote(self, batch: CandidateBatch, spans: Mapping[int, Span]) -> Mapping[int, Passage]:
        """Row → the passage of its text that a span of tokens covers."""
        texts, bound = self.spec.documents(batch), self.pairing.reads * CHARACTERS_A_TOKEN
        reference = self.pairing.tokenizer.reference
        found = {row: characters(reference, texts[row][:bound], span) for row, span in spans.items()}
        return {row: Passage(start, end, texts[row][start:end]) for row, (start, end) in found.items()}


def load_cross_encoder(
    spec: CrossEncoder, directory: Path, sessions: Sessions = SESSIONS
) -> LoadedCrossEncoder:
    """The stage from a model directory.

    Raises:
        NotReady: if a file is missing or does not fit the others.
        Corrupt: if model.onnx is not the one that model.json was written for.
    """
    model = load_model(directory, sessions)
    if model.notes.task != SCORE:
        raise NotReady("gives vectors of texts, not scores of pairs", path=str(directory))
    if spec.max_tokens > model.notes.max_tokens:
        most = model.notes.max_tokens
        raise NotReady(f"is {spec.max_tokens} where the model reads at most {most}", path="max_tokens")
    return assemble(spec, model)


def assemble(spec: CrossEncoder, model: Model) -> LoadedCrossEncoder:
    """The stage of a loaded model."""
    reads = spec.passages.reads if spec.passages else 0
    cache = CACHES.of(model.pieces, reads or spec.max_tokens, spec.cache_mb * 1_000_000)
    layout, limits = model.notes.layout, (spec.max_tokens, spec.query_tokens)
    pairing = Pairing(model.pieces, layout, *limits, cache, reads)
    return LoadedCrossEncoder(spec, model, pairing, SCHEDULERS.of(model.session, model.run))
