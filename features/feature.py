"""The contract of a feature kind: all that the author of one has to read.

A kind is a frozen struct whose fields are its parameters as they stand in `cascade.toml`. It is schema,
documentation and implementation at once, does no input or output, and keeps no state of its own: what it
learns in `prepare` is handed back to it in `compute`, and is saved with the bundle.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from numpy.typing import NDArray

from features.batch import CandidateBatch
from features.columns import Floats, Input

State = Mapping[str, NDArray[Any]]
"""Learned state: named arrays, saved as they are (no pickle)."""

COMPUTED = "feature."
"""Prefix of the column under which a feature reads another's output (see the `fusion` kind)."""


class Feature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One declared feature.

    Laws, which `tests/contracts/test_features.py` holds every kind to: the shape of `compute` is
    `[n, len(outputs)]` in float32; NaN stands only for missing input, infinities never occur; the batch is
    left as it was; rows do not depend on other queries' rows; unless `listwise`, they do not depend on any
    other row; and the same input gives the same bytes.
    """

    name: str

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    """Raised when the numbers change for the same input."""

    @property
    def listwise(self) -> bool:
        """True where a row's value depends on the other candidates of its query."""
        return False

    @property
    def tolerance(self) -> float:
        """How far a value may move with the machine, absolutely and relatively: sums of float32 differ with
        its vector units."""
        return 1e-4

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The candidate columns it reads."""
        return ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the columns it makes, `name` or `name.part`."""
        return (self.name,)

    def prepare(self, documents: CandidateBatch) -> State:  # noqa: ARG002 (most kinds learn nothing)
        """Learn from a corpus: one query-less batch with a row a document."""
        return {}

    def compute(self, batch: CandidateBatch, state: State) -> Floats:
        """float32[n, len(outputs)] for the candidates of a batch."""
        raise NotImplementedError
