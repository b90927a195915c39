"""The contract of a stage kind: all that the author of one has to read.

**Stages score; the cascade ranks.** Order, cut, ties, deadline, fallback and trace are written once, in
`cascade/pipeline.py`. A kind is two things: a frozen `StageSpec`, whose fields are the keys of its table in
`cascade.toml`, and the `Stage` that the spec loads from a directory of files that training wrote.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol, runtime_checkable

import msgspec

from cascade.deadline import Deadline
from cascade.names import NAME
from features.batch import CandidateBatch
from features.columns import Floats, Input
from features.matrix import FeatureMatrix

SCORE = "stage."
"""Prefix of the matrix column that holds an earlier stage's score: `stage.<name>`."""

CHARACTERS_OF_A_TOKEN = 4.5
"""Of English text, about."""

Span = tuple[int, int]
"""Of a text that a stage read: the first token, and the one behind the last."""


@dataclass(frozen=True, slots=True, eq=False)
class StageResult:
    """What a stage made of its candidates.

    Attributes:
        scores: float32[n], rows as in the batch, higher is better; NaN where a row has no score.
        outcomes: row → why that item could not be scored (the item fails, not the request).
        late: the deadline passed before every row was scored; the best of the previous order went first.
        warnings: what the caller should know, such as how many texts were truncated.
        tokens: tokens a model read.
        queue_s: seconds spent waiting for a model.
        passages: row → the passage of a long text that the score is due to.
    """

    scores: Floats
    outcomes: Mapping[int, str] = field(default_factory=dict)
    late: bool = False
    warnings: tuple[str, ...] = ()
    tokens: int = 0
    queue_s: float = 0.0
    passages: Mapping[int, Span] = field(default_factory=dict)


class Stage(Protocol):
    """A stage that is loaded and ready.

    Laws, which `tests/contracts/test_stages.py` holds every kind to: `scores` has a row a candidate and is
    never infinite; inputs are left as they were; the same input gives the same bytes; unless `listwise`, a
    row's score does not depend on the other rows (beyond the tolerance that the kind states); an empty batch
    gives no scores.
    """

    @property
    def reads(self) -> tuple[str, ...]:
        """The matrix columns it reads: features, and `stage.<name>` for an earlier stage's score."""
        ...

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The candidate columns it reads."""
        ...

    def score(self, batch: CandidateBatch, matrix: FeatureMatrix, deadline: Deadline) -> StageResult:
        """Score every row of the batch."""
        ...


@runtime_checkable
class Explains(Protocol):
    """A stage that can say what each column brought to a score."""

    def contributions(self, batch: CandidateBatch, matrix: FeatureMatrix) -> Floats:
        """float32[n, len(reads) + 1]: a column's share in the raw score, the last one the bias."""
        ...


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of the text that a stage read of a candidate: characters [start, end), and what they are."""

    start: int
    end: int
    text: str


@runtime_checkable
class Quotes(Protocol):
    """A stage that reads long texts in passages and can show the one that a score is due to."""

    def quote(self, batch: CandidateBatch, spans: Mapping[int, Span]) -> Mapping[int, Passage]:
        """Row → its passage, for the spans that `StageResult.passages` had for these rows."""
        ...


class StageSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A declared stage.

    Attributes:
        name: unique in the cascade; a later stage reads its score as `stage.<name>`.
        keep: how many of the best go on to the next stage; all of them where it is left out.
        on_late: when the deadline passes inside it, keep the scores so far ("shrink") or none ("skip").
        on_error: when it fails, go on with the previous order ("skip") or fail the request ("fail").
    """

    name: Annotated[str, msgspec.Meta(pattern=NAME)]
    keep: Annotated[int, msgspec.Meta(ge=1)] | None = None
    on_late: Literal["shrink", "skip"] = "shrink"
    on_error: Literal["skip", "fail"] = "skip"

    kind: ClassVar[str]
    tolerance: ClassVar[float] = 0.0
    """How far a score may move, absolutely and relatively, with the machine or with who shares the batch."""

    @property
    def listwise(self) -> bool:
        """Whether a row's score depends on the other candidates of its query, and is meant to."""
        return False

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The candidate columns it will read, known before anything is loaded."""
        return ()

    def columns(self, features: tuple[str, ...]) -> tuple[str, ...]:  # noqa: ARG002 (some kinds read none)
        """The matrix columns it will read of those there are, known before anything is loaded."""
        return ()

    def tokens(self, characters: float) -> float:  # noqa: ARG002 (most kinds read none)
        """Tokens that a model reads of a candidate with so many characters of text, about: what it will cost.

        `characters` is 0 where the text is not known beforehand.
        """
        return 0.0

    def load(self, directory: Path, features: tuple[str, ...]) -> Stage:
        """The stage from the files that training wrote to `directory`.

        `features` are the columns there are for a kind that reads all of them unless told otherwise: the
        feature set's outputs, then the scores of the stages before.

        Raises:
            NotReady: if a file is missing or does not fit the features.
        """
        raise NotImplementedError
