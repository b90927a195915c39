"""Metrics and logs."""

import io
import json
import re
from collections.abc import Callable
from urllib.request import urlopen

import grpc
import pytest
import structlog

from serving.observe import configure_logs
from serving.settings import Settings
from serving.testing import Broken, ByColumn, channel, ranker, running
from sluice.v1 import ranking_pb2 as pb
from sluice.v1 import ranking_pb2_grpc as rpc

Ask = Callable[..., pb.RankRequest]


def test_the_page_counts_what_happened(ask: Ask) -> None:
    """Calls by status, stages by outcome, candidates, degraded rankings and loads are on the page."""
    settings = Settings(port=0, metrics_port=0)
    with running(ranker(ByColumn(), Broken()), settings) as server, channel(server) as opened:
        stub = rpc.RankingStub(opened)
        for _ in range(3):
            stub.Rank(ask([1.0, 2.0]), timeout=20)
        with pytest.raises(grpc.RpcError):
            stub.Rank(ask([1.0], tenant="nobody"), timeout=20)
        assert server.page is not None
        page = urlopen(f"http://127.0.0.1:{server.page.port}/metrics", timeout=20).read().decode()
    method = 'method="/sluice.v1.Ranking/Rank"'
    for line in (
        f'sluice_requests_total{{{method},status="OK"}} 3.0',
        f'sluice_requests_total{{{method},status="NOT_FOUND"}} 1.0',
        f"sluice_request_seconds_count{{{method}}} 4.0",
        'sluice_stage_runs_total{stage="first",status="RAN"} 3.0',
        'sluice_stage_runs_total{stage="second",status="FAILED"} 3.0',
        'sluice_stage_candidates_total{stage="first"} 6.0',
        'sluice_stage_seconds_count{part="inference",stage="first"} 3.0',
        "sluice_candidates_count 3.0",
        "sluice_degraded_total 3.0",
        "sluice_in_flight 0.0",
        'sluice_ranker_loads_total{outcome="ok"} 1.0',
    ):
        assert line in page


def test_callers_make_no_label(ask: Ask) -> None:
    """Nothing that a caller sends becomes a label: unknown methods, tenants and columns leave no trace."""
    with running(ranker()) as server, channel(server) as opened:
        for call in (
            lambda: opened.unary_unary("/sluice.v1.Ranking/Evil")(b"", timeout=20),
            lambda: rpc.RankingStub(opened).Rank(ask([1.0], tenant="evil"), timeout=20),
            lambda: rpc.RankingStub(opened).Rank(ask([1.0], ranker="evil@evil"), timeout=20),
        ):
            with pytest.raises(grpc.RpcError):
                call()
        samples = [sample for metric in server.metrics.registry.collect() for sample in metric.samples]
    assert not [sample for sample in samples if re.search("evil", str(sample.labels), re.IGNORECASE)]


def test_logs_are_json() -> None:
    """One object a line, with level and time; a traceback is a field of it."""
    before, stream = structlog.get_config(), io.StringIO()
    try:
        configure_logs(stream)
        try:
            raise KeyError("x")
        except KeyError:
            structlog.get_logger().exception("it_broke", stage="first")
    finally:
        structlog.configure(**before)
    (line,) = stream.getvalue().splitlines()
    logged = json.loads(line)
    assert (logged["event"], logged["stage"], logged["level"]) == ("it_broke", "first", "error")
    assert logged["timestamp"].endswith("Z")
    assert "KeyError" in logged["exception"]
