"""What a client asks, and its message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from sluice.columns import Candidates, float32, to_candidates
from sluice.errors import InvalidCandidates
from sluice.v1 import ranking_pb2 as pb

Value = str | float | Sequence[str]
"""A text, a number, or keywords."""

EXPLAIN = {"none": pb.EXPLAIN_NONE, "stages": pb.EXPLAIN_STAGES, "features": pb.EXPLAIN_FEATURES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One query with its candidates.

    Attributes:
        query: as the person typed it.
        candidates: a list of dicts with an `id` each, or columns with one named `id`.
        top_k: how many to return; 0 = all.
        explain: "none", "stages", or "features" for feature values and contributions.
        values, vectors: of the query, by name.
        user_id, session_id, user_values: who asked.
        ranker: a name, or `name@version`; "" = the client's.
        request_id: joins feedback to the answer; "" = one is made.
        time_budget_s: of the ranking itself; the earlier of this and the call's timeout holds.
        log: record the impression; None = as the ranker declares.
        ignore_unknown_columns: a field that the ranker does not read is a warning, not an error.
    """

    query: str
    candidates: Candidates
    top_k: int = 0
    explain: Literal["none", "stages", "features"] = "stages"
    values: Mapping[str, Value] = field(default_factory=dict)
    vectors: Mapping[str, Sequence[float]] = field(default_factory=dict)
    user_id: str = ""
    session_id: str = ""
    user_values: Mapping[str, Value] = field(default_factory=dict)
    ranker: str = ""
    request_id: str = ""
    time_budget_s: float | None = None
    log: bool | None = None
    ignore_unknown_columns: bool = False


def to_message(request: Request, tenant: str, ranker: str = "", request_id: str = "") -> pb.RankRequest:
    """The message of a request.

    Raises:
        InvalidCandidates: if the candidates cannot become columns, or a text or number anywhere no message.
    """
    try:
        return made(request, tenant, ranker, request_id)
    except UnicodeEncodeError as error:
        text = f"{error.object[:40]!r}"
        raise InvalidCandidates(f"{text} is no Unicode text: it holds a lone surrogate") from None
    except OverflowError as error:
        raise InvalidCandidates(f"a number is too large: {error}") from None


def made(request: Request, tenant: str, ranker: str, request_id: str) -> pb.RankRequest:
    """The same, with the errors of whatever makes a part of it."""
    message = pb.RankRequest(
        tenant=tenant,
        ranker=request.ranker or ranker,
        request_id=request.request_id or request_id,
        query=pb.Query(
            text=request.query, values=to_values(request.values), vectors=to_vectors(request.vectors)
        ),
        user=pb.User(
            id=request.user_id, session_id=request.session_id, values=to_values(request.user_values)
        ),
        candidates=to_candidates(request.candidates),
        top_k=request.top_k,
        explain=EXPLAIN[request.explain],
        log=request.log,
        ignore_unknown_columns=request.ignore_unknown_columns or None,
    )
    if request.time_budget_s is not None:
        message.time_budget.FromTimedelta(timedelta(seconds=request.time_budget_s))
    return message


def to_values(values: Mapping[str, Value]) -> dict[str, pb.Value]:
    """Named values."""
    return {name: to_value(value) for name, value in values.items()}


def to_value(value: Any) -> pb.Value:
    """One value."""
    if isinstance(value, str):
        return pb.Value(text=value)
    if isinstance(value, Sequence):
        return pb.Value(keywords=pb.KeywordList(values=value))
    return pb.Value(number=value)


def to_vectors(vectors: Mapping[str, Sequence[float]]) -> dict[str, pb.Vector]:
    """Named vectors in float32."""
    return {
        name: pb.Vector(type=pb.ELEMENT_TYPE_FLOAT32, data=float32(vector))
        for name, vector in vectors.items()
    }
