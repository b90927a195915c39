import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Explain(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPLAIN_UNSPECIFIED: _ClassVar[Explain]
    EXPLAIN_NONE: _ClassVar[Explain]
    EXPLAIN_STAGES: _ClassVar[Explain]
    EXPLAIN_FEATURES: _ClassVar[Explain]

class ElementType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ELEMENT_TYPE_UNSPECIFIED: _ClassVar[ElementType]
    ELEMENT_TYPE_FLOAT32: _ClassVar[ElementType]
    ELEMENT_TYPE_FLOAT16: _ClassVar[ElementType]
    ELEMENT_TYPE_INT8: _ClassVar[ElementType]

class StageStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_STATUS_UNSPECIFIED: _ClassVar[StageStatus]
    STAGE_STATUS_RAN: _ClassVar[StageStatus]
    STAGE_STATUS_SHRUNK: _ClassVar[StageStatus]
    STAGE_STATUS_SKIPPED_BUDGET: _ClassVar[StageStatus]
    STAGE_STATUS_SKIPPED_CONFIDENT: _ClassVar[StageStatus]
    STAGE_STATUS_FAILED: _ClassVar[StageStatus]
    STAGE_STATUS_CACHED: _ClassVar[StageStatus]
EXPLAIN_UNSPECIFIED: Explain
EXPLAIN_NONE: Explain
EXPLAIN_STAGES: Explain
EXPLAIN_FEATURES: Explain
ELEMENT_TYPE_UNSPECIFIED: ElementType
ELEMENT_TYPE_FLOAT32: ElementType
ELEMENT_TYPE_FLOAT16: ElementType
ELEMENT_TYPE_INT8: ElementType
STAGE_STATUS_UNSPECIFIED: StageStatus
STAGE_STATUS_RAN: StageStatus
STAGE_STATUS_SHRUNK: StageStatus
STAGE_STATUS_SKIPPED_BUDGET: StageStatus
STAGE_STATUS_SKIPPED_CONFIDENT: StageStatus
STAGE_STATUS_FAILED: StageStatus
STAGE_STATUS_CACHED: StageStatus

class RankRequest(_message.Message):
    __slots__ = ("tenant", "ranker", "request_id", "query", "user", "candidates", "top_k", "explain", "time_budget", "log", "ignore_unknown_columns")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    RANKER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    TIME_BUDGET_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    IGNORE_UNKNOWN_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    ranker: str
    request_id: str
    query: Query
    user: User
    candidates: Candidates
    top_k: int
    explain: Explain
    time_budget: _duration_pb2.Duration
    log: bool
    ignore_unknown_columns: bool
    def __init__(self, tenant: _Optional[str] = ..., ranker: _Optional[str] = ..., request_id: _Optional[str] = ..., query: _Optional[_Union[Query, _Mapping]] = ..., user: _Optional[_Union[User, _Mapping]] = ..., candidates: _Optional[_Union[Candidates, _Mapping]] = ..., top_k: _Optional[int] = ..., explain: _Optional[_Union[Explain, str]] = ..., time_budget: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., log: _Optional[bool] = ..., ignore_unknown_columns: _Optional[bool] = ...) -> None: ...

class Query(_message.Message):
    __slots__ = ("text", "values", "vectors")
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Value, _Mapping]] = ...) -> None: ...
    class VectorsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Vector
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Vector, _Mapping]] = ...) -> None: ...
    TEXT_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    text: str
    values: _containers.MessageMap[str, Value]
    vectors: _containers.MessageMap[str, Vector]
    def __init__(self, text: _Optional[str] = ..., values: _Optional[_Mapping[str, Value]] = ..., vectors: _Optional[_Mapping[str, Vector]] = ...) -> None: ...

class User(_message.Message):
    __slots__ = ("id", "session_id", "values")
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Value, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    id: str
    session_id: str
    values: _containers.MessageMap[str, Value]
    def __init__(self, id: _Optional[str] = ..., session_id: _Optional[str] = ..., values: _Optional[_Mapping[str, Value]] = ...) -> None: ...

class Value(_message.Message):
    __slots__ = ("text", "number", "keywords")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    KEYWORDS_FIELD_NUMBER: _ClassVar[int]
    text: str
    number: float
    keywords: KeywordList
    def __init__(self, text: _Optional[str] = ..., number: _Optional[float] = ..., keywords: _Optional[_Union[KeywordList, _Mapping]] = ...) -> None: ...

class KeywordList(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...

class Vector(_message.Message):
    __slots__ = ("type", "data")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    type: ElementType
    data: bytes
    def __init__(self, type: _Optional[_Union[ElementType, str]] = ..., data: _Optional[bytes] = ...) -> None: ...

class Candidates(_message.Message):
    __slots__ = ("ids", "columns", "numbers")
    IDS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    columns: _containers.RepeatedCompositeFieldContainer[Column]
    numbers: NumberMatrix
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., columns: _Optional[_Iterable[_Union[Column, _Mapping]]] = ..., numbers: _Optional[_Union[NumberMatrix, _Mapping]] = ...) -> None: ...

class Column(_message.Message):
    __slots__ = ("name", "text", "number", "keyword", "timestamp", "vector", "token_vectors")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    KEYWORD_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    TOKEN_VECTORS_FIELD_NUMBER: _ClassVar[int]
    name: str
    text: TextColumn
    number: NumberColumn
    keyword: KeywordColumn
    timestamp: TimestampColumn
    vector: VectorColumn
    token_vectors: TokenVectorColumn
    def __init__(self, name: _Optional[str] = ..., text: _Optional[_Union[TextColumn, _Mapping]] = ..., number: _Optional[_Union[NumberColumn, _Mapping]] = ..., keyword: _Optional[_Union[KeywordColumn, _Mapping]] = ..., timestamp: _Optional[_Union[TimestampColumn, _Mapping]] = ..., vector: _Optional[_Union[VectorColumn, _Mapping]] = ..., token_vectors: _Optional[_Union[TokenVectorColumn, _Mapping]] = ...) -> None: ...

class TextColumn(_message.Message):
    __slots__ = ("values", "missing")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    missing: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, values: _Optional[_Iterable[str]] = ..., missing: _Optional[_Iterable[int]] = ...) -> None: ...

class NumberColumn(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class NumberMatrix(_message.Message):
    __slots__ = ("names", "data")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    data: bytes
    def __init__(self, names: _Optional[_Iterable[str]] = ..., data: _Optional[bytes] = ...) -> None: ...

class KeywordColumn(_message.Message):
    __slots__ = ("values", "counts")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, values: _Optional[_Iterable[str]] = ..., counts: _Optional[_Iterable[int]] = ...) -> None: ...

class TimestampColumn(_message.Message):
    __slots__ = ("seconds",)
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    seconds: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, seconds: _Optional[_Iterable[float]] = ...) -> None: ...

class VectorColumn(_message.Message):
    __slots__ = ("dimension", "type", "data", "missing")
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    dimension: int
    type: ElementType
    data: bytes
    missing: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, dimension: _Optional[int] = ..., type: _Optional[_Union[ElementType, str]] = ..., data: _Optional[bytes] = ..., missing: _Optional[_Iterable[int]] = ...) -> None: ...

class TokenVectorColumn(_message.Message):
    __slots__ = ("dimension", "type", "data", "counts")
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    dimension: int
    type: ElementType
    data: bytes
    counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, dimension: _Optional[int] = ..., type: _Optional[_Union[ElementType, str]] = ..., data: _Optional[bytes] = ..., counts: _Optional[_Iterable[int]] = ...) -> None: ...

class RankResponse(_message.Message):
    __slots__ = ("request_id", "ranker", "version", "results", "stages", "degraded", "warnings", "final", "failure", "arm", "teams")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RANKER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    TEAMS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    ranker: str
    version: str
    results: _containers.RepeatedCompositeFieldContainer[Result]
    stages: _containers.RepeatedCompositeFieldContainer[StageReport]
    degraded: bool
    warnings: _containers.RepeatedScalarFieldContainer[str]
    final: bool
    failure: Failure
    arm: str
    teams: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, request_id: _Optional[str] = ..., ranker: _Optional[str] = ..., version: _Optional[str] = ..., results: _Optional[_Iterable[_Union[Result, _Mapping]]] = ..., stages: _Optional[_Iterable[_Union[StageReport, _Mapping]]] = ..., degraded: _Optional[bool] = ..., warnings: _Optional[_Iterable[str]] = ..., final: _Optional[bool] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., arm: _Optional[str] = ..., teams: _Optional[_Iterable[int]] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("id", "index", "score", "probability", "placed_by", "outcome", "explanation")
    ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    PLACED_BY_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    id: str
    index: int
    score: float
    probability: float
    placed_by: str
    outcome: str
    explanation: Explanation
    def __init__(self, id: _Optional[str] = ..., index: _Optional[int] = ..., score: _Optional[float] = ..., probability: _Optional[float] = ..., placed_by: _Optional[str] = ..., outcome: _Optional[str] = ..., explanation: _Optional[_Union[Explanation, _Mapping]] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("stage", "features", "bias", "passage", "evidence")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    BIAS_FIELD_NUMBER: _ClassVar[int]
    PASSAGE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    stage: str
    features: _containers.RepeatedCompositeFieldContainer[FeatureValue]
    bias: float
    passage: Passage
    evidence: _containers.RepeatedCompositeFieldContainer[FeatureValue]
    def __init__(self, stage: _Optional[str] = ..., features: _Optional[_Iterable[_Union[FeatureValue, _Mapping]]] = ..., bias: _Optional[float] = ..., passage: _Optional[_Union[Passage, _Mapping]] = ..., evidence: _Optional[_Iterable[_Union[FeatureValue, _Mapping]]] = ...) -> None: ...

class Passage(_message.Message):
    __slots__ = ("stage", "start", "end", "text")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    stage: str
    start: int
    end: int
    text: str
    def __init__(self, stage: _Optional[str] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class FeatureValue(_message.Message):
    __slots__ = ("name", "value", "contribution")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: float
    contribution: float
    def __init__(self, name: _Optional[str] = ..., value: _Optional[float] = ..., contribution: _Optional[float] = ...) -> None: ...

class StageReport(_message.Message):
    __slots__ = ("name", "status", "reason", "seen", "kept", "entered_top_k", "left_top_k", "queue_ms", "features_ms", "inference_ms", "tokens")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    ENTERED_TOP_K_FIELD_NUMBER: _ClassVar[int]
    LEFT_TOP_K_FIELD_NUMBER: _ClassVar[int]
    QUEUE_MS_FIELD_NUMBER: _ClassVar[int]
    FEATURES_MS_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_MS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    name: str
    status: StageStatus
    reason: str
    seen: int
    kept: int
    entered_top_k: int
    left_top_k: int
    queue_ms: float
    features_ms: float
    inference_ms: float
    tokens: int
    def __init__(self, name: _Optional[str] = ..., status: _Optional[_Union[StageStatus, str]] = ..., reason: _Optional[str] = ..., seen: _Optional[int] = ..., kept: _Optional[int] = ..., entered_top_k: _Optional[int] = ..., left_top_k: _Optional[int] = ..., queue_ms: _Optional[float] = ..., features_ms: _Optional[float] = ..., inference_ms: _Optional[float] = ..., tokens: _Optional[int] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("code", "message", "error_id", "retry_after_ms")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ERROR_ID_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    error_id: str
    retry_after_ms: int
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., error_id: _Optional[str] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...
