"""The Feedback service: events onto the disk. Its methods have no try/except: see `interceptors`."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass
from queue import Full, Queue

import grpc

from cascade.eventlog.writer import LogWriter
from cascade.events import MICROS
from features.errors import NotReady, OutOfTime
from serving.credentials.access import Access
from serving.events import to_events
from serving.interceptors import well_formed
from serving.observe import Metrics
from serving.places import Places
from serving.rankers import Catalogue
from serving.recorder import patience
from serving.settings import Settings
from sluice.v1 import feedback_pb2 as pb
from sluice.v1 import feedback_pb2_grpc as rpc

READ_AHEAD = 16
"""Batches of a stream that are on their way to the disk at a time."""
LOOK_S = 1.0
"""How often a stream whose answers nobody reads is asked whether its caller is still there."""


@dataclass(frozen=True, slots=True)
class Handed:
    """A batch on its way to the disk, with the answer that holds once it is there."""

    response: pb.RecordResponse
    durable: "Future[None]"


class FeedbackService(rpc.FeedbackServicer):
    """Record and RecordStream over one event log; None = this server keeps none."""

    def __init__(
        self,
        catalogue: Catalogue,
        log: LogWriter | None,
        settings: Settings,
        metrics: Metrics,
        clock: Callable[[], float],
        access: Access,
    ) -> None:
        self._catalogue, self._log, self._settings = catalogue, log, settings
        self._metrics, self._clock, self._access = metrics, clock, access
        self._streams = Places(settings.feedback.streams, "RecordStream calls are open; come back")
        self._calls = Places(settings.feedback.calls, "Record calls wait for the disk; send larger batches")

    def Record(self, request: pb.RecordRequest, context: grpc.ServicerContext) -> pb.RecordResponse:  # noqa: N802
        """One batch, on the disk before the answer."""
        with self._calls.place(request.tenant):
            return self._finish(self._hand_in(request), context.time_remaining())

    def RecordStream(  # noqa: N802
        self, request_iterator: Iterator[pb.RecordRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.RecordResponse]:
        """Batch by batch, in order; while one waits for the disk, the next are read."""
        with self._streams.place(self._access.holder(context)):
            for handed in read_ahead(request_iterator, self._hand_in, context):
                yield self._finish(handed, None)

    def _hand_in(self, message: pb.RecordRequest) -> Handed:
        if self._log is None:
            raise NotReady("this server keeps no event log; start it with --log DIR")
        self._catalogue.check_tenant(message.tenant)
        events, rejected = to_events(message, self._settings.limits, int(self._clock() * MICROS))
        receipt = self._log.append(message.tenant, events)
        response = pb.RecordResponse(
            accepted=receipt.accepted, duplicate=receipt.duplicate, rejected=rejected
        )
        return Handed(response, receipt.durable)

    def _finish(self, handed: Handed, left_s: float | None) -> pb.RecordResponse:
        """The answer, once what it says is true."""
        try:
            handed.durable.result(patience(left_s))
        except Late:
            raise OutOfTime("the disk took longer than the call's deadline; send the same again") from None
        self._metrics.recorded("accepted", handed.response.accepted)
        self._metrics.recorded("duplicate", handed.response.duplicate)
        self._metrics.recorded("rejected", len(handed.response.rejected))
        return handed.response


def read_ahead(
    requests: Iterator[pb.RecordRequest],
    hand_in: Callable[[pb.RecordRequest], Handed],
    context: grpc.ServicerContext,
) -> Iterator[Handed]:
    """What was handed in, in order, while a thread hands in the next ones.

    Raises:
        What handing in a batch raises, once the batches before it are answered.
    """
    ready: Queue[Handed | Exception | None] = Queue(READ_AHEAD)
    threading.Thread(target=feed, args=(requests, hand_in, ready, context), daemon=True).start()
    while (item := ready.get()) is not None:
        if isinstance(item, Exception):
            raise item
        yield item


def feed(
    requests: Iterator[pb.RecordRequest],
    hand_in: Callable[[pb.RecordRequest], Handed],
    ready: "Queue[Handed | Exception | None]",
    context: grpc.ServicerContext,
) -> None:
    """Hand in batches until there are no more, one is refused, or nobody reads the answers."""
    last: Exception | None = None
    try:
        for request in requests:
            if not offered(ready, hand_in(well_formed(request)), context):
                return
    except Exception as error:
        last = error
    offered(ready, last, context)


def offered(
    ready: "Queue[Handed | Exception | None]", item: Handed | Exception | None, context: grpc.ServicerContext
) -> bool:
    """Whether there was room for an item before the caller left."""
    while True:
        try:
            ready.put(item, timeout=LOOK_S)
        except Full:
            if not context.is_active():
                return False
        else:
            return True
