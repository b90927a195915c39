"""The Rankers service over a store. Its methods have no try/except: errors become statuses in `interceptors`.

The gate that judges a new version belongs to training and runs where the command line does. Over the wire a
version may serve if nothing does yet, if the gate has agreed with it in the place of the one that serves
(`sluice promote --approve`), or by `force` with a reason, which is recorded.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc

from cascade.check import plan
from cascade.config import parse_config
from cascade.manifest import MANIFEST, Bundle, open_bundle
from cascade.names import DEFAULT
from cascade.promotion import Promotion, Record, check, passed
from cascade.store import Store
from features.errors import Corrupt, InvalidInput, NotFound, NotReady
from serving.credentials.access import Access
from serving.plans import to_info, to_plan, to_version
from sluice.v1 import rankers_pb2 as pb
from sluice.v1 import rankers_pb2_grpc as rpc

LONGEST_REASON = 1_000
FORCED = "asked over the wire, where there is no gate"
UNJUDGED = (
    "the gate has not agreed with {version} in the place of {serving}: run `sluice promote --approve` beside"
    " the store, or send `force` and a `reason`"
)


class RankersService(rpc.RankersServicer):
    """The methods of `rankers.proto`. `store` None = what this server reads cannot be administered."""

    def __init__(self, store: Store | None, access: Access, clock: Callable[[], float]) -> None:
        self._kept, self._access, self._clock = store, access, clock

    def ListRankers(  # noqa: N802
        self, request: pb.ListRankersRequest, _: grpc.ServicerContext
    ) -> pb.ListRankersResponse:
        """All of a tenant's."""
        names = self._store.rankers(request.tenant)
        return pb.ListRankersResponse(rankers=[self._info(request.tenant, name) for name in names])

    def GetRanker(self, request: pb.GetRankerRequest, _: grpc.ServicerContext) -> pb.RankerInfo:  # noqa: N802
        """One of them."""
        return self._info(*named(request))

    def ListVersions(  # noqa: N802
        self, request: pb.ListVersionsRequest, _: grpc.ServicerContext
    ) -> pb.ListVersionsResponse:
        """A ranker's versions, oldest first."""
        store, key = self._store, named(request)
        promotion = store.promotion(*key)
        told = [to_version(store.path(*key, each), each, promotion) for each in store.versions(*key)]
        return pb.ListVersionsResponse(versions=told)

    def Promote(self, request: pb.PromoteRequest, context: grpc.ServicerContext) -> pb.RankerInfo:  # noqa: N802
        """Another version serves, if that was decided on what holds now, and may be."""
        store, key = self._store, named(request)
        actor = self._access.check("admin", request.tenant, context).actor
        before = store.promotion(*key)
        check(before, request.expected_version)
        opened(store.path(*key, request.version))
        record = self._record(request, before)
        store.promote(*key, request.version, request.expected_version, record, actor)
        return self._info(*key)

    def Rollback(self, request: pb.RollbackRequest, context: grpc.ServicerContext) -> pb.RankerInfo:  # noqa: N802
        """The version before serves again."""
        key = named(request)
        actor = self._access.check("admin", request.tenant, context).actor
        expected = request.expected_version if request.HasField("expected_version") else None
        self._store.rollback(*key, expected, actor)
        return self._info(*key)

    def DescribePlan(  # noqa: N802
        self, request: pb.DescribePlanRequest, _: grpc.ServicerContext
    ) -> pb.DescribePlanResponse:
        """What a version does."""
        bundle = opened(self._store.path(*named(request), request.version or None))
        return to_plan(bundle.version, plan(parse_config(bundle.source)))

    @property
    def _store(self) -> Store:
        if self._kept is None:
            raise NotReady("the store of this server cannot be administered")
        return self._kept

    def _info(self, tenant: str, ranker: str) -> pb.RankerInfo:
        promotion = self._store.promotion(tenant, ranker)
        return to_info(ranker, promotion, len(self._store.versions(tenant, ranker)))

    def _record(self, request: pb.PromoteRequest, before: Promotion) -> Record | None:
        """How the version comes to serve; None for the first one, and for the one that serves already.

        Raises:
            InvalidInput: if it is forced without a reason, or with an endless one.
            NotReady: if nobody has judged it and nobody forces it.
        """
        if request.version == before.version or not (before.version or request.force):
            return None
        if len(request.reason) > LONGEST_REASON:
            raise InvalidInput(f"has more than {LONGEST_REASON} characters", path="reason")
        approved = passed(before, request.version)
        if not (approved or request.force):
            raise NotReady(UNJUDGED.format(version=request.version, serving=before.version))
        if not (approved or request.reason.strip()):
            raise InvalidInput("says why the version is forced; it is empty", path="reason")
        return Record(
            version=request.version,
            time=datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="seconds"),
            against=before.version,
            forced=not approved,
            reason=request.reason,
            refusals=() if approved else (FORCED,),
        )


def named(request: Any) -> tuple[str, str]:
    """The tenant and the ranker that a message names."""
    return request.tenant, request.ranker or DEFAULT


def opened(directory: Path) -> Bundle:
    """A published bundle, every digest verified.

    Raises:
        Corrupt: if it is not as it was written; without a word on where the store is.
    """
    try:
        return open_bundle(directory)
    except NotFound:
        raise Corrupt("is missing; publish the bundle again", path=MANIFEST) from None
