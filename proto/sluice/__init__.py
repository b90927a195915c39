"""What other programs import: the wire messages (`sluice.v1`) and a thin typed client."""

from sluice.aio import AsyncClient
from sluice.client import Client
from sluice.errors import (
    Busy,
    DataLoss,
    InvalidCandidates,
    InvalidRequest,
    NotReady,
    RankError,
    Refused,
    ServerFault,
    TimedOut,
    UnknownName,
    Unreachable,
)
from sluice.request import Request
from sluice.results import Explanation, Failure, FeatureValue, Ranking, Result, StageReport
from sluice.retry import Retry

__all__ = [
    "AsyncClient",
    "Busy",
    "Client",
    "DataLoss",
    "Explanation",
    "Failure",
    "FeatureValue",
    "InvalidCandidates",
    "InvalidRequest",
    "NotReady",
    "RankError",
    "Ranking",
    "Refused",
    "Request",
    "Result",
    "Retry",
    "ServerFault",
    "StageReport",
    "TimedOut",
    "UnknownName",
    "Unreachable",
]
