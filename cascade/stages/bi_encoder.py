"""The `bi_encoder` stage: how near a candidate's vector is to the query's.

Query and document are encoded apart, so that a document's vector can be kept, made before, or sent along:
then a candidate costs a dot product. Candidates come best first and are encoded a window at a time, so that
what is done when time runs out is the best part.

Sentence-BERT: Reimers and Gurevych 2019, "Sentence Embeddings using Siamese BERT-Networks".
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec
import numpy as np

from cascade.deadline import Deadline
from cascade.stage import CHARACTERS_OF_A_TOKEN, StageResult, StageSpec
from cascade.stages.bi_encoding.run import Run
from cascade.stages.bi_encoding.training import BiEncoderTraining
from cascade.stages.blend import ZSCORE, blended, check_blend
from cascade.stages.cross_encoding.template import documents, parse_template
from cascade.stages.embedded import EMBEDDED
from cascade.stages.linear import Normalise
from features.batch import CandidateBatch
from features.columns import Input, Kind
from features.matrix import FeatureMatrix
from features.transformer.encoder import Reading, SentenceEncoder, load_sentence_encoder
from features.transformer.session import SESSIONS, Sessions
from features.transformer.table import VectorTable, load_table

Positive = Annotated[int, msgspec.Meta(ge=1)]


class BiEncoder(StageSpec, frozen=True, kw_only=True):
    """A sentence encoder over text fields.

    Attributes:
        weights: `embedded`, the directory of an exported encoder, or of the checkpoint that training starts
            from.
        fields: the text columns that make the document.
        template: how, such as `"{title}. {body}"`; without one, those that are there joined with ". ".
        query_prefix, document_prefix: stand before the texts, as models of the E5 family ask for.
        vectors: a vector column of the candidates' own vectors, to be read in place of their texts.
        table: a file that `sluice encode` made: vectors of known documents, which training copies.
        similarity: `cosine`, or `dot` for models that were trained so.
        max_tokens: of a text, prefix and special tokens included; more is cut and reported.
        batch_tokens: of a micro-batch; between 192 and 768 fits processor caches.
        cache_mb: for vectors, by content.
        blend: columns to weigh the score against, and their weights beside its own 1
            (`cascade/stages/blend.py`); without it the score is the plain cosine or product.
        normalise: how the parts of the blend are put on one scale within the query's candidates, as in a
            `linear` stage; `none` = each as it is.
        train: how training goes on from the weights.
    """

    kind: ClassVar[str] = "bi_encoder"
    tolerance: ClassVar[float] = 0.02
    """Of another machine: its sums round differently, and a value may fall on the next int8 step. On one
    machine calibrated int8 gives the same bits in any batch."""

    weights: str = EMBEDDED
    fields: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("title", "body")
    template: str = ""
    query_prefix: str = ""
    document_prefix: str = ""
    vectors: str = ""
    table: str = ""
    similarity: Literal["cosine", "dot"] = "cosine"
    max_tokens: Annotated[int, msgspec.Meta(ge=8, le=8192)] = 256
    batch_tokens: Positive = 512
    cache_mb: Annotated[int, msgspec.Meta(ge=0)] = 256
    blend: dict[str, float] = msgspec.field(default_factory=dict)
    normalise: Normalise = ZSCORE
    train: BiEncoderTraining = BiEncoderTraining()

    def __post_init__(self) -> None:
        if self.template:
            parse_template(self.template, self.fields)
        if self.vectors and self.table:
            raise ValueError("vectors come either from a column or from a table")
        if self.train.epochs and (self.vectors or self.table):
            raise ValueError(
                "training changes the encoder, so that vectors made before do not fit it; train first, then"
                " name the trained model in weights and leave train.epochs at 0"
            )
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
        """Its text fields, or the column of vectors."""
        if self.vectors:
            return (Input(self.vectors, Kind.VECTOR),)
        return tuple(Input(name, Kind.TEXT) for name in self.fields)

    @property
    def reading(self) -> Reading:
        """How the encoder reads."""
        return Reading(
            self.max_tokens, self.batch_tokens, self.cache_mb * 1_000_000, self.similarity == "cosine"
        )

    def documents(self, batch: CandidateBatch) -> list[str]:
        """The text that the model reads of every candidate, without the prefix; empty where there is none."""
        return documents(batch, self.fields, self.template)

    def tokens(self, characters: float) -> float:
        """As long as the text is, up to `max_tokens`; none where vectors come with the request."""
        if self.vectors:
            return 0.0
        return min(float(self.max_tokens), characters / CHARACTERS_OF_A_TOKEN or self.max_tokens)

    def load(self, directory: Path, features: tuple[str, ...]) -> "LoadedBiEncoder":  # noqa: ARG002
        """The stage from model.onnx, tokenizer.json and model.json, and from the table if there is one.

        Raises:
            NotReady: if a file is missing or does not fit the others.
            Corrupt: if model.onnx is not the one that model.json was written for, or the table is broken.
        """
        return load_bi_encoder(self, directory, SESSIONS)


def load_bi_encoder(spec: BiEncoder, directory: Path, sessions: Sessions) -> "LoadedBiEncoder":
    """The stage from a model directory."""
    encoder = load_sentence_encoder(directory, spec.reading, sessions)
    return LoadedBiEncoder(spec, encoder, load_table(directory, encoder.dimension))


@dataclass(frozen=True, slots=True, eq=False)
class LoadedBiEncoder:
    """A bi-encoder that is ready. With calibrated int8 (`notes.independent`) a score is the same to the bit
    in any company."""

    spec: BiEncoder
    encoder: SentenceEncoder
    table: VectorTable | None

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that the score is weighed against; the encoder itself reads texts or vectors."""
        return tuple(self.spec.blend)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Its text fields, or the column of vectors."""
        return self.spec.inputs

    def score(self, batch: CandidateBatch, matrix: FeatureMatrix, deadline: Deadline) -> StageResult:
        """Cosines or dot products, plain or blended, `float32[n]`; NaN with an outcome where none is."""
        if not len(batch):
            return StageResult(np.empty(0, np.float32))
        run = Run(self, batch)
        run.late = deadline.expired or not run.read(deadline)
        result = run.result()
        spec = self.spec
        return replace(result, scores=blended(result.scores, matrix, spec.blend, spec.normalise))
