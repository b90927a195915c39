"""What other programs import: the wire messages (`sluice.v1`) and a thin typed client."""

from sluice.aio import AsyncClient
from sluice.client import Client
from sluice.errors import (
    Busy,
    DataLoss,
    InvalidCandidates,
    InvalidEvent,
    InvalidRequest,
    NotReady,
    RankError,
    Refused,
    ServerFault,
    TimedOut,
    UnknownName,
    Unreachable,
)
from sluice.feedback import Impression, Interaction, Recorded, Rejected
from sluice.request import Request
from sluice.results import Explanation, Failure, FeatureValue, Passage, Ranking, Result, StageReport
from sluice.retry import Retry
from sluice.security import Tls

__all__ = [
    "AsyncClient",
    "Busy",
    "Client",
    "DataLoss",
    "Explanation",
    "Failure",
    "FeatureValue",
    "Impression",
    "Interaction",
    "InvalidCandidates",
    "InvalidEvent",
    "InvalidRequest",
    "NotReady",
    "Passage",
    "RankError",
    "Ranking",
    "Recorded",
    "Refused",
    "Rejected",
    "Request",
    "Result",
    "Retry",
    "ServerFault",
    "StageReport",
    "TimedOut",
    "Tls",
    "UnknownName",
    "Unreachable",
]
