"""What a ranking is asked for."""

from dataclasses import dataclass

from cascade.deadline import NEVER, Deadline
from features.batch import CandidateBatch


@dataclass(frozen=True, slots=True, eq=False)
class RankRequest:
    """One query's candidates.

    Attributes:
        batch: exactly one query with its candidates in the order that retrieval gave them.
        top_k: how many to return; 0 = all.
        deadline: when the answer has to be there.
    """

    batch: CandidateBatch
    top_k: int = 0
    deadline: Deadline = NEVER
