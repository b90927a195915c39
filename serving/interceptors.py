"""The one place where errors become statuses, where callers are checked, and where every call is counted."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from traceback import clear_frames
from typing import Any

import grpc
import structlog

from cascade.credentials import Role
from cascade.names import is_name
from features.errors import InvalidInput
from serving.answer import to_failure
from serving.credentials.access import Access, role_of
from serving.observe import Metrics
from serving.status import Refusal, refusal
from sluice.v1 import ranking_pb2 as pb

OURS = "/sluice.v1."

log = structlog.get_logger()

Behaviour = Callable[[Any, grpc.ServicerContext], Any]


@dataclass(frozen=True, slots=True)
class Malformed:
    """Stands for a request whose bytes are no message; `Edge` refuses it before a servicer sees it."""


@dataclass(frozen=True, slots=True)
class Edge(grpc.ServerInterceptor):
    """Wraps the methods of our services, whose servicers have no try/except of their own. Every message has
    to be allowed for the tenant that it names, those of a stream one by one.

    Health and reflection stay as their packages made them.
    """

    metrics: Metrics
    new_id: Callable[[], str]
    access: Access
    wrapped: dict[str, Any] = field(default_factory=dict)
    """Method → its handler, made once: every call asks."""

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """The handler of a call with its behaviour wrapped; None (UNIMPLEMENTED) stays None."""
        found = self.wrapped.get(details.method)
        if found is not None:
            return found
        handler = continuation(details)
        if handler is None or not details.method.startswith(OURS):
            return handler
        made = self.wrapped[details.method] = self._wrap(handler, details)
        return made

    def _wrap(self, handler: Any, details: Any) -> Any:
        make, behaviour, guard = self._shape(handler)
        return make(
            guard(details.method, behaviour),
            request_deserializer=lenient(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )

    def _shape(self, handler: Any) -> tuple[Callable[..., Any], Behaviour, Callable[..., Behaviour]]:
        guard = self._streaming if handler.response_streaming else self._unary
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler, handler.stream_stream, guard
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler, handler.stream_unary, guard
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler, handler.unary_stream, guard
        return grpc.unary_unary_rpc_method_handler, handler.unary_unary, guard

    def _unary(self, method: str, behaviour: Behaviour) -> Behaviour:
        role = role_of(method)

        def call(request: Any, context: grpc.ServicerContext) -> Any:
            start = perf_counter()
            try:
                response = behaviour(self._allowed(request, role, context), context)
            except Exception as error:
                refused = refuse(error, method, self.new_id, tenant_of(request))
            else:
                self.metrics.answered(method, grpc.StatusCode.OK, perf_counter() - start)
                return response
            return self._abort(context, method, refused, start)

        return call

    def _streaming(self, method: str, behaviour: Behaviour) -> Behaviour:
        role = role_of(method)

        def call(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            start = perf_counter()
            try:
                yield from behaviour(self._allowed(request, role, context), context)
            except Exception as error:
                refused = refuse(error, method, self.new_id, tenant_of(request))
            else:
                self.metrics.answered(method, grpc.StatusCode.OK, perf_counter() - start)
                return
            self._abort(context, method, refused, start)

        return call

    def _allowed(self, request: Any, role: Role, context: grpc.ServicerContext) -> Any:
        """The request, or its stream with the same checks on every message.

        Raises:
            InvalidInput: for bytes that are no message of the method's type.
            Unauthenticated, Forbidden: see `Access.check`.
        """
        if isinstance(request, Iterator):
            return (self._allowed(each, role, context) for each in request)
        message = well_formed(request)
        self.access.check(role, message.tenant, context)
        return message

    def _abort(self, context: grpc.ServicerContext, method: str, refused: Refusal, start: float) -> None:
        self.metrics.answered(method, refused.status, perf_counter() - start)
        context.set_trailing_metadata(refused.metadata)
        context.abort(refused.status, refused.message)


def refuse(error: Exception, method: str, new_id: Callable[[], str], tenant: str) -> Refusal:
    """What the caller is told of an error; the log is told all of one that nobody foresaw.

    Who sends too much is counted (`sluice_requests`, `sluice_tenant_refusals`), and shall not fill the log.

    The error's frames are cleared: one that a variable of its own frame holds would keep the whole request
    until the garbage collector finds it, which under a flood holds everybody up for tens of milliseconds.
    """
    refused = refusal(error, new_id)
    about = {"method": method, "tenant": tenant}
    if refused.error_id:
        log.error("internal_error", **about, error_id=refused.error_id, exc_info=error)
    elif refused.status is not grpc.StatusCode.RESOURCE_EXHAUSTED:
        log.info("refused", **about, status=refused.status.name, message=refused.message)
    clear_frames(error.__traceback__)
    return refused


def tenant_of(request: Any) -> str:
    """Whose request it is, for the log; "" for a stream, and for what is no name."""
    name = getattr(request, "tenant", "")
    return name if is_name(name) else ""


def or_failure(
    work: Callable[[], pb.RankResponse], message: pb.RankRequest, new_id: Callable[[], str]
) -> pb.RankResponse:
    """The answer to one of many requests, or its failure as a message, so that the others go on."""
    try:
        return work()
    except Exception as error:
        return to_failure(
            message.request_id, refuse(error, f"{OURS}Ranking/RankMany", new_id, tenant_of(message))
        )


def lenient(parse: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """A parser that answers `Malformed` where bytes are no message.

    gRPC calls INTERNAL what a parser raises, though it is the caller who has to mend it.
    """

    def read(data: bytes) -> Any:
        try:
            return parse(data) if parse else data
        except Exception:
            return Malformed()

    return read


def well_formed(request: Any) -> Any:
    """The request.

    Raises:
        InvalidInput: for bytes that are no message of the method's type.
    """
    if isinstance(request, Malformed):
        raise InvalidInput("these bytes are not a valid message of this method (strings must be UTF-8)")
    return request
