import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListRankersRequest(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    def __init__(self, tenant: _Optional[str] = ...) -> None: ...

class ListRankersResponse(_message.Message):
    __slots__ = ("rankers",)
    RANKERS_FIELD_NUMBER: _ClassVar[int]
    rankers: _containers.RepeatedCompositeFieldContainer[RankerInfo]
    def __init__(self, rankers: _Optional[_Iterable[_Union[RankerInfo, _Mapping]]] = ...) -> None: ...

class GetRankerRequest(_message.Message):
    __slots__ = ("tenant", "ranker")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    RANKER_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    ranker: str
    def __init__(self, tenant: _Optional[str] = ..., ranker: _Optional[str] = ...) -> None: ...

class RankerInfo(_message.Message):
    __slots__ = ("ranker", "version", "history", "versions")
    RANKER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    ranker: str
    version: str
    history: _containers.RepeatedScalarFieldContainer[str]
    versions: int
    def __init__(self, ranker: _Optional[str] = ..., version: _Optional[str] = ..., history: _Optional[_Iterable[str]] = ..., versions: _Optional[int] = ...) -> None: ...

class ListVersionsRequest(_message.Message):
    __slots__ = ("tenant", "ranker")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    RANKER_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    ranker: str
    def __init__(self, tenant: _Optional[str] = ..., ranker: _Optional[str] = ...) -> None: ...

class ListVersionsResponse(_message.Message):
    __slots__ = ("versions",)
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[VersionInfo]
    def __init__(self, versions: _Optional[_Iterable[_Union[VersionInfo, _Mapping]]] = ...) -> None: ...

class VersionInfo(_message.Message):
    __slots__ = ("version", "created", "metrics", "promoted", "approved")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    PROMOTED_FIELD_NUMBER: _ClassVar[int]
    APPROVED_FIELD_NUMBER: _ClassVar[int]
    version: str
    created: _timestamp_pb2.Timestamp
    metrics: _containers.ScalarMap[str, float]
    promoted: bool
    approved: bool
    def __init__(self, version: _Optional[str] = ..., created: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., metrics: _Optional[_Mapping[str, float]] = ..., promoted: _Optional[bool] = ..., approved: _Optional[bool] = ...) -> None: ...

class PromoteRequest(_message.Message):
    __slots__ = ("tenant", "ranker", "version", "expected_version", "force", "reason")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    RANKER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    ranker: str
    version: str
    expected_version: str
    force: bool
    reason: str
    def __init__(self, tenant: _Optional[str] = ..., ranker: _Optional[str] = ..., version: _Optional[str] = ..., expected_version: _Optional[str] = ..., force: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class RollbackRequest(_message.Message):
    __slots__ = ("tenant", "ranker", "expected_version")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    RANKER_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    ranker: str
    expected_version: str
    def __init__(self, tenant: _Optional[str] = ..., ranker: _Optional[str] = ..., expected_version: _Optional[str] = ...) -> None: ...

class DescribePlanRequest(_message.Message):
    __slots__ = ("tenant", "ranker", "version")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    RANKER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    ranker: str
    version: str
    def __init__(self, tenant: _Optional[str] = ..., ranker: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class DescribePlanResponse(_message.Message):
    __slots__ = ("version", "features", "stages", "warnings")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    version: str
    features: _containers.RepeatedCompositeFieldContainer[PlannedFeature]
    stages: _containers.RepeatedCompositeFieldContainer[PlannedStage]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, version: _Optional[str] = ..., features: _Optional[_Iterable[_Union[PlannedFeature, _Mapping]]] = ..., stages: _Optional[_Iterable[_Union[PlannedStage, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class PlannedFeature(_message.Message):
    __slots__ = ("name", "kind", "reads", "makes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    READS_FIELD_NUMBER: _ClassVar[int]
    MAKES_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    reads: _containers.RepeatedScalarFieldContainer[str]
    makes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., reads: _Optional[_Iterable[str]] = ..., makes: _Optional[_Iterable[str]] = ...) -> None: ...

class PlannedStage(_message.Message):
    __slots__ = ("name", "kind", "reads", "sees", "keep", "on_late", "on_error")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    READS_FIELD_NUMBER: _ClassVar[int]
    SEES_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    ON_LATE_FIELD_NUMBER: _ClassVar[int]
    ON_ERROR_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    reads: _containers.RepeatedScalarFieldContainer[str]
    sees: int
    keep: int
    on_late: str
    on_error: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., reads: _Optional[_Iterable[str]] = ..., sees: _Optional[int] = ..., keep: _Optional[int] = ..., on_late: _Optional[str] = ..., on_error: _Optional[str] = ...) -> None: ...
