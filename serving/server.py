"""The server: ports, threads, health, reflection, and how it comes up and goes down.

A pool of threads rather than an event loop: ranking is arithmetic that holds a core, and with asyncio each
request pays a hop to a worker thread and back. The choice rests on simplicity more than on speed: single
noisy runs with 100 candidates gave the pool .5 to 1.9 times the event loop's requests a second.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import getrandbits

import grpc
import structlog
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from cascade.eventlog.segment import Disk
from cascade.eventlog.writer import LogWriter, Options
from cascade.experiments.shadows import ShadowLog
from cascade.load import load_ranker
from features.errors import InvalidConfig
from serving.admission import RESERVE
from serving.credentials.reach import check_reach
from serving.credentials.tls import server_credentials
from serving.documents import tables_of
from serving.experiments.metrics import ExperimentMetrics
from serving.experiments.shadow import Shadow
from serving.experiments.taking import Taking
from serving.experiments.watch import Background, Watching, in_thread
from serving.feedback import FeedbackService
from serving.health import NOT_SERVING, SERVING, Health
from serving.interceptors import Edge
from serving.lift import WatchedLog, monitor_of
from serving.lift_metrics import LiftCollector
from serving.observe import Metrics, MetricsPage
from serving.profiles.opening import personal_of
from serving.rankers import Catalogue, Load, Source, Watch
from serving.recorder import Recorder
from serving.service import RankingService
from serving.settings import Settings
from serving.tenancy import tenancy_of
from sluice.v1 import (
    feedback_pb2,
    feedback_pb2_grpc,
    rankers_pb2,
    rankers_pb2_grpc,
    ranking_pb2,
    ranking_pb2_grpc,
)

log = structlog.get_logger()

RANKING: str = ranking_pb2.DESCRIPTOR.services_by_name["Ranking"].full_name
FEEDBACK: str = feedback_pb2.DESCRIPTOR.services_by_name["Feedback"].full_name
RANKERS: str = rankers_pb2.DESCRIPTOR.services_by_name["Rankers"].full_name
SERVICES = ("", RANKING, FEEDBACK, RANKERS)
PROMOTIONS = "rankers"
"""Health says under this name whether all that is promoted serves; else whether requests are answered."""
SPARE_THREADS = 16
"""For health, reflection and refusals, so that a full server still answers them."""


def new_id() -> str:
    """A random id of 32 hexadecimal digits: told apart from others, and no secret."""
    return f"{getrandbits(128):032x}"


class Server:
    """One process's server. `start` returns at once; `ready` is set when every ranker has been loaded."""

    def __init__(
        self,
        settings: Settings,
        store: Source,
        *,
        load: Load = load_ranker,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = new_id,
        disk: Disk | None = None,
        background: Background = in_thread,
    ) -> None:
        self.settings, self.metrics = settings, Metrics()
        self.catalogue = Catalogue(
            store,
            load,
            options=settings.rankers,
            pinned=settings.pinned,
            loaded=lambda outcome: self.metrics.loads.labels(outcome).inc(),
            base_of=lambda tenant: self.tenancy.register.tenant(tenant).base,
            class_of=lambda tenant: self.tenancy.register.share(tenant).priority,
        )
        self.metrics.catalogue(self.catalogue)
        self.ready, self._draining = threading.Event(), threading.Event()
        self.port = 0
        self.page: MetricsPage | None = None
        self._many = ThreadPoolExecutor(2 * settings.cores * settings.streams, "many")
        self.lift = monitor_of(store, settings.feedback)
        self.metrics.registry.register(LiftCollector(self.lift))
        self.log = self._open_log(clock, disk)
        self._recorder = Recorder(self.log, settings.feedback, self.metrics, clock)
        self._taking = self._experiments(store, clock, new_id, background)
        self.tenancy = tenancy_of(store, settings, self.metrics, clock)
        self.personal = personal_of(settings, self.metrics)
        self.service = RankingService(
            self.catalogue,
            settings,
            self.metrics,
            self._many,
            clock,
            new_id,
            self._recorder,
            self._taking,
            self.tenancy.register,
            self.tenancy.quotas,
            self.tenancy.access,
            self.personal,
            tables_of(store, settings.documents, self.metrics),
        )
        self.feedback = FeedbackService(
            self.catalogue, self.log, settings, self.metrics, clock, self.tenancy.access
        )
        self._health = Health(SERVICES)
        self._watch = Watch(self.catalogue, settings.poll_s, self._serve, self._tell)
        self._grpc = self._build(Edge(self.metrics, new_id, self.tenancy.access))

    def _open_log(self, clock: Callable[[], float], disk: Disk | None) -> LogWriter | None:
        root = self.settings.log_root
        if root is None:
            return None
        options = Options(segment_s=self.settings.feedback.segment_s)
        writer = WatchedLog(
            root,
            clock=clock,
            new_id=new_id,
            options=options,
            disk=disk,
            committed=self.metrics.commits.observe,
        )
        writer.watcher = self.lift.take
        return writer

    def _experiments(
        self, store: Source, clock: Callable[[], float], new_id: Callable[[], str], background: Background
    ) -> Taking:
        root, metrics = self.settings.log_root, ExperimentMetrics(self.metrics.registry)
        shadow = Shadow(self.settings.shadows, metrics, ShadowLog(root, new_id) if root else None, clock)
        watching = Watching(store, self.catalogue.get, self.settings.poll_s, metrics, background=background)
        return Taking(watching, shadow, metrics)

    def _build(self, edge: Edge) -> grpc.Server:
        settings = self.settings
        threads = settings.cores + settings.queue + RESERVE + settings.streams + SPARE_THREADS
        threads += settings.feedback.calls + settings.feedback.streams
        options = [
            ("grpc.max_receive_message_length", settings.limits.message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # a second server on the port has to fail, not to share it
        ]
        built = grpc.server(ThreadPoolExecutor(threads, "grpc"), interceptors=[edge], options=options)
        ranking_pb2_grpc.add_RankingServicer_to_server(self.service, built)  # type: ignore[no-untyped-call]
        feedback_pb2_grpc.add_FeedbackServicer_to_server(self.feedback, built)  # type: ignore[no-untyped-call]
        rankers_pb2_grpc.add_RankersServicer_to_server(self.tenancy.administration, built)  # type: ignore[no-untyped-call]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, built)
        names = (RANKING, FEEDBACK, RANKERS, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, built)
        return built

    def start(self) -> int:
        """Listen, and load rankers in the background; health says NOT_SERVING until they are there.

        Returns:
            The port.

        Raises:
            InvalidConfig: if the port is taken, the host is not one of this machine, or others can reach it
                and nobody would be asked for credentials.
        """
        if warning := check_reach(self.settings, self.tenancy.access.needed):
            log.warning("reachable", warning=warning)
        self.port = self._bind()
        self._expose()
        self._grpc.start()
        self._watch.start()
        return self.port

    def drain(self) -> None:
        """Stop taking requests, and return when those in flight are answered or the grace is over.

        A second call returns at once.
        """
        if self._draining.is_set():
            return
        self._draining.set()
        log.info("draining", in_flight=self.service.admission.in_flight)
        self._health.close()
        self._watch.stop()
        self._grpc.stop(self.settings.grace_s).wait()
        self._many.shutdown(wait=False, cancel_futures=True)
        self._recorder.close()
        self._taking.close()
        self.personal.close()
        if self.log:
            self.log.close()
        self.lift.close()
        if self.page:
            self.page.close()
        log.info("stopped")

    def _bind(self) -> int:
        host, port = self.settings.host, self.settings.port
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        tls = server_credentials(self.settings.tls)
        try:
            return int(
                self._grpc.add_secure_port(address, tls) if tls else self._grpc.add_insecure_port(address)
            )
        except RuntimeError:
            message = (
                f"cannot listen on {host}:{port}; is it taken? choose another port, or 0 for any free one"
            )
            raise InvalidConfig(message, path="$.port") from None

    def _expose(self) -> None:
        if self.settings.metrics_port is None:
            return
        try:
            self.page = self.metrics.expose(self.settings.host, self.settings.metrics_port)
        except OSError as error:
            raise InvalidConfig(f"cannot listen: {error.strerror}", path="$.metrics_port") from None

    def _tell(self) -> None:
        """Probes of `rankers` learn that a promoted version does not serve, or that the store is gone."""
        well = self.catalogue.reachable and not self.catalogue.failing()
        self._health.set(PROMOTIONS, SERVING if well else NOT_SERVING)

    def _serve(self) -> None:
        self._health.set_all(SERVING)
        self.ready.set()
