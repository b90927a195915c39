"""Health whose watchers do not hold a server that wants to end."""

from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVING = health_pb2.HealthCheckResponse.SERVING

Send = Callable[[Any], None]


class Health(health.HealthServicer):
    """The standard servicer; `close` says NOT_SERVING to every watcher and then ends its stream.

    Without that, a drain would wait for watchers until its grace is over, as they never leave by themselves.
    """

    def __init__(self, services: tuple[str, ...]) -> None:
        super().__init__()
        self._services = services
        self._watchers: set[Send] = set()
        self.set_all(NOT_SERVING)

    def set_all(self, status: int) -> None:
        """One status for every service."""
        for service in self._services:
            self.set(service, status)

    def Watch(  # noqa: N802
        self, request: Any, context: grpc.ServicerContext, send_response_callback: Send | None = None
    ) -> Any:
        """As the standard one, with the watcher remembered while it watches."""
        if send_response_callback is not None:
            self._watchers.add(send_response_callback)
            context.add_callback(lambda: self._watchers.discard(send_response_callback))
        return super().Watch(request, context, send_response_callback)

    def close(self) -> None:
        """NOT_SERVING for good."""
        self.enter_graceful_shutdown()
        for send in tuple(self._watchers):
            send(None)
