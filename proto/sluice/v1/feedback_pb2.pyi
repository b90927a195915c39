import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from sluice.v1 import ranking_pb2 as _ranking_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DwellBy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DWELL_BY_UNSPECIFIED: _ClassVar[DwellBy]
    DWELL_BY_CLIENT: _ClassVar[DwellBy]
    DWELL_BY_SERVER: _ClassVar[DwellBy]
DWELL_BY_UNSPECIFIED: DwellBy
DWELL_BY_CLIENT: DwellBy
DWELL_BY_SERVER: DwellBy

class RecordRequest(_message.Message):
    __slots__ = ("tenant", "impressions", "interactions")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    IMPRESSIONS_FIELD_NUMBER: _ClassVar[int]
    INTERACTIONS_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    impressions: _containers.RepeatedCompositeFieldContainer[Impression]
    interactions: _containers.RepeatedCompositeFieldContainer[Interaction]
    def __init__(self, tenant: _Optional[str] = ..., impressions: _Optional[_Iterable[_Union[Impression, _Mapping]]] = ..., interactions: _Optional[_Iterable[_Union[Interaction, _Mapping]]] = ...) -> None: ...

class Impression(_message.Message):
    __slots__ = ("event_id", "request_id", "time", "ranker", "version", "query", "user", "candidates", "positions", "scores", "features", "fingerprint", "arm", "propensities", "ranked", "teams")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    RANKER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    PROPENSITIES_FIELD_NUMBER: _ClassVar[int]
    RANKED_FIELD_NUMBER: _ClassVar[int]
    TEAMS_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    request_id: str
    time: _timestamp_pb2.Timestamp
    ranker: str
    version: str
    query: _ranking_pb2.Query
    user: _ranking_pb2.User
    candidates: _containers.RepeatedScalarFieldContainer[str]
    positions: _containers.RepeatedScalarFieldContainer[int]
    scores: _containers.RepeatedScalarFieldContainer[float]
    features: _ranking_pb2.NumberMatrix
    fingerprint: str
    arm: str
    propensities: _containers.RepeatedScalarFieldContainer[float]
    ranked: int
    teams: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, event_id: _Optional[str] = ..., request_id: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ranker: _Optional[str] = ..., version: _Optional[str] = ..., query: _Optional[_Union[_ranking_pb2.Query, _Mapping]] = ..., user: _Optional[_Union[_ranking_pb2.User, _Mapping]] = ..., candidates: _Optional[_Iterable[str]] = ..., positions: _Optional[_Iterable[int]] = ..., scores: _Optional[_Iterable[float]] = ..., features: _Optional[_Union[_ranking_pb2.NumberMatrix, _Mapping]] = ..., fingerprint: _Optional[str] = ..., arm: _Optional[str] = ..., propensities: _Optional[_Iterable[float]] = ..., ranked: _Optional[int] = ..., teams: _Optional[_Iterable[int]] = ...) -> None: ...

class Interaction(_message.Message):
    __slots__ = ("event_id", "request_id", "candidate_id", "time", "type", "dwell_s", "dwell_by", "value", "position", "user_id", "session_id")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DWELL_S_FIELD_NUMBER: _ClassVar[int]
    DWELL_BY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    request_id: str
    candidate_id: str
    time: _timestamp_pb2.Timestamp
    type: str
    dwell_s: float
    dwell_by: DwellBy
    value: float
    position: int
    user_id: str
    session_id: str
    def __init__(self, event_id: _Optional[str] = ..., request_id: _Optional[str] = ..., candidate_id: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., type: _Optional[str] = ..., dwell_s: _Optional[float] = ..., dwell_by: _Optional[_Union[DwellBy, str]] = ..., value: _Optional[float] = ..., position: _Optional[int] = ..., user_id: _Optional[str] = ..., session_id: _Optional[str] = ...) -> None: ...

class RecordResponse(_message.Message):
    __slots__ = ("accepted", "duplicate", "rejected")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    duplicate: int
    rejected: _containers.RepeatedCompositeFieldContainer[Rejection]
    def __init__(self, accepted: _Optional[int] = ..., duplicate: _Optional[int] = ..., rejected: _Optional[_Iterable[_Union[Rejection, _Mapping]]] = ...) -> None: ...

class Rejection(_message.Message):
    __slots__ = ("path", "event_id", "reason")
    PATH_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    path: str
    event_id: str
    reason: str
    def __init__(self, path: _Optional[str] = ..., event_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
