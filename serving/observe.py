"""What operators see: Prometheus metrics by stage, and structured logs on standard error.

Label values are bounded: methods of the server, statuses, the stage names of loaded bundles, and the first
thousand tenants of the store. Nothing that a caller makes up becomes a label.
"""

import logging
import sys
from typing import Any, TextIO

import grpc
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from cascade.ranking import Ranking
from serving.rankers import Catalogue

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
SIZES = (1, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)

TENANTS = 1_000
"""Tenants that have a label of their own."""
OTHERS = "~others"
"""The label of the rest; no tenant can be called that."""


class Metrics:
    """The metrics of one server, in a registry of their own so that tests may run several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        one = self.registry
        self.requests = Counter("sluice_requests", "Calls by outcome.", ["method", "status"], registry=one)
        self.latency = Histogram(
            "sluice_request_seconds", "Time to answer.", ["method"], buckets=SECONDS, registry=one
        )
        self.stages = Counter("sluice_stage_runs", "Stages by outcome.", ["stage", "status"], registry=one)
        self.stage_time = Histogram(
            "sluice_stage_seconds",
            "Time by stage and part (queue, features, inference).",
            ["stage", "part"],
            buckets=SECONDS,
            registry=one,
        )
        self.stage_seen = Counter(
            "sluice_stage_candidates", "Candidates that stages saw.", ["stage"], registry=one
        )
        self.tokens = Counter("sluice_stage_tokens", "Tokens that models read.", ["stage"], registry=one)
        self.candidates = Histogram("sluice_candidates", "Candidates a request.", buckets=SIZES, registry=one)
        self.degraded = Counter("sluice_degraded", "Rankings that a stage was missing in.", registry=one)
        self.in_flight = Gauge("sluice_in_flight", "Requests admitted and not yet answered.", registry=one)
        self.events = Counter("sluice_events", "Events of feedback by outcome.", ["outcome"], registry=one)
        self.commits = Histogram(
            "sluice_event_commit_batches",
            "Batches that shared a flush to the disk.",
            buckets=SIZES,
            registry=one,
        )
        self.impressions = Counter(
            "sluice_impressions", "Impressions logged by the service, by outcome.", ["outcome"], registry=one
        )
        self.loads = Counter("sluice_ranker_loads", "Bundles loaded, by outcome.", ["outcome"], registry=one)
        self.tables = Counter(
            "sluice_document_tables", "Document tables opened, by outcome.", ["outcome"], registry=one
        )
        self.rankers = Gauge("sluice_rankers", "Rankers in memory.", registry=one)
        self.ranker_bytes = Gauge("sluice_ranker_bytes", "Bytes that they are reckoned at.", registry=one)
        self.failing = Gauge(
            "sluice_rankers_failing", "Rankers whose promoted version failed its checks.", registry=one
        )
        self.store = Gauge("sluice_store_reachable", "Whether the store answers: 1 or 0.", registry=one)

        self.units = Counter(
            "sluice_tenant_units", "Candidates ranked and tokens read, by tenant.", ["tenant"], registry=one
        )
        self.refusals = Counter(
            "sluice_tenant_refusals", "Requests over their tenant's quota.", ["tenant"], registry=one
        )
        self._tenants: set[str] = set()
        self._children: dict[tuple[Any, ...], Any] = {}

    def spent(self, tenant: str, units: float) -> None:
        """A request of a tenant has cost so much; tenants beyond `TENANTS` are counted together."""
        self._child(self.units, self._label(tenant)).inc(units)

    def over_quota(self, tenant: str) -> None:
        """A request of a tenant was refused for its quota."""
        self.refusals.labels(self._label(tenant)).inc()

    def _child(self, metric: Any, *labels: str) -> Any:
        """The time series of these labels; asking the metric takes several times as long."""
        key = (metric, *labels)
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = metric.labels(*labels)
        return found

    def _label(self, tenant: str) -> str:
        if len(self._tenants) < TENANTS:
            self._tenants.add(tenant)
        return tenant if tenant in self._tenants else OTHERS

    def catalogue(self, catalogue: Catalogue) -> None:
        """Read what a catalogue holds whenever somebody asks."""
        self.rankers.set_function(lambda: len(catalogue.held))
        self.ranker_bytes.set_function(lambda: catalogue.held.used)
        self.failing.set_function(lambda: len(catalogue.failing()))
        self.store.set_function(lambda: int(catalogue.reachable))

    def answered(self, method: str, status: grpc.StatusCode, seconds: float) -> None:
        """One call has ended."""
        self._child(self.requests, method, status.name).inc()
        self._child(self.latency, method).observe(seconds)

    def recorded(self, outcome: str, count: int) -> None:
        """So many events of feedback had this outcome."""
        if count:
            self.events.labels(outcome).inc(count)

    def ranked(self, ranking: Ranking, candidates: int) -> None:
        """One ranking is final."""
        self.candidates.observe(candidates)
        if ranking.degraded:
            self.degraded.inc()
        for report in ranking.reports:
            self._child(self.stages, report.name, report.status.value).inc()
            self._child(self.stage_seen, report.name).inc(report.seen)
            parts = (
                ("queue", report.queue_s),
                ("features", report.features_s),
                ("inference", report.inference_s),
            )
            for part, seconds in parts:
                if seconds:
                    self._child(self.stage_time, report.name, part).observe(seconds)
            if report.tokens:
                self._child(self.tokens, report.name).inc(report.tokens)

    def expose(self, host: str, port: int) -> "MetricsPage":
        """Serve the metrics over HTTP; port 0 takes any free one."""
        return MetricsPage(self.registry, host, port)


class MetricsPage:
    """The metrics over HTTP."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        self._server, self._thread = start_http_server(port, host, registry)
        self.port = int(self._server.server_port)

    def close(self) -> None:
        """Stop serving, and give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def configure_logs(stream: TextIO = sys.stderr, level: int = logging.INFO) -> None:
    """One JSON object a line, for whoever collects them."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
