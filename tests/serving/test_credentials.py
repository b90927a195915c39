"""Callers and what they may do, on real servers: tokens, roles, certificates, and who can reach the port."""

import asyncio
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import pytest
from msgspec.structs import replace

from cascade.credentials import (
    PLATFORM,
    Bearer,
    Certificate,
    Credentials,
    Role,
    Token,
    with_certificate,
    with_token,
    without_token,
)
from cascade.store import DirectoryStore
from cascade.tenants import Platform, Tenant, Tenants
from cascade.testing import write_tiny_bundle
from features.errors import InvalidConfig
from serving.credentials.reach import check_reach
from serving.server import Server
from serving.settings import Settings, Tls
from serving.testing import Shelf, channel, ranker, running, target
from sluice import AsyncClient, Client, Refused
from sluice import Tls as ClientTls
from sluice.v1 import feedback_pb2, ranking_pb2
from sluice.v1 import rankers_pb2 as pb
from sluice.v1.feedback_pb2_grpc import FeedbackStub
from sluice.v1.rankers_pb2_grpc import RankersStub
from sluice.v1.ranking_pb2_grpc import RankingStub

NOW = datetime(2026, 5, 1, tzinfo=UTC)
UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
SECRET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"


def bearer(tenant: str, number: int = 1) -> Bearer:
    """A token that a test knows."""
    return Bearer(tenant, f"{number:012x}", SECRET)


def kept(shown: Bearer, *roles: Role, **fields: Any) -> Token:
    """What the store keeps of it."""
    return Token(id=shown.id, hash=shown.hash, roles=roles, created=NOW, **fields)


def grant(tenants: Tenants, shown: Bearer, *roles: Role, **fields: Any) -> None:
    """Give a tenant, or the platform, a token."""
    token = kept(shown, *roles, **fields)
    if shown.tenant == PLATFORM:
        tenants.protect(lambda one: replace(one, credentials=with_token(one.credentials, token)))
    else:
        edit_credentials(tenants, shown.tenant, lambda known: with_token(known, token))


def edit_credentials(tenants: Tenants, name: str, edit: Any) -> None:
    """Edit a tenant's credentials."""
    tenants.change(name, "token", lambda one: replace(one, credentials=edit(one.credentials)))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DirectoryStore:
    """`shop` and `news`, with a ranker and a token for everything each; the platform's is for ranking."""
    folder = tmp_path_factory.mktemp("tenants")
    shelf, tenants = DirectoryStore(folder / "store"), Tenants(folder / "store")
    for name in ("shop", "news"):
        version = shelf.publish(name, "default", write_tiny_bundle(folder / name))
        shelf.promote(name, "default", version)
        grant(tenants, bearer(name), "rank", "feedback", "admin")
    grant(tenants, bearer("shop", 2), "rank")
    grant(tenants, bearer("shop", 3), "rank", expires=NOW)
    grant(tenants, bearer(PLATFORM), "rank")
    return shelf


@pytest.fixture(scope="module")
def server(store: DirectoryStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of that store, at the moment when one token expires; declarations are read every time."""
    log = str(tmp_path_factory.mktemp("log"))
    settings = Settings(port=0, poll_s=1e-9, reserve_ms=0.0, log=log)
    with running(store, settings, clock=NOW.timestamp) as started:
        yield started


@pytest.fixture(scope="module")
def opened(server: Server) -> Iterator[grpc.Channel]:
    """A channel to it."""
    with channel(server) as made:
        yield made


def question(tenant: str) -> ranking_pb2.RankRequest:
    """A request for three candidates."""
    asked = ranking_pb2.RankRequest(tenant=tenant, query=ranking_pb2.Query(text="q"))
    asked.candidates.ids.extend("abc")
    return asked


def click(tenant: str) -> feedback_pb2.RecordRequest:
    """A request that records nothing."""
    return feedback_pb2.RecordRequest(tenant=tenant)


def headers(shown: Bearer | str | None) -> tuple[tuple[str, str], ...]:
    """The metadata of a token."""
    text = shown.text if isinstance(shown, Bearer) else shown
    return (("authorization", f"Bearer {text}"),) if text is not None else ()


def ask(opened: grpc.Channel, service: str, tenant: str, shown: Bearer | str | None) -> grpc.StatusCode:
    """The status of one call of each service; OK where nothing was wrong."""
    calls = {
        "rank": lambda: RankingStub(opened).Rank(question(tenant), metadata=headers(shown), timeout=30),
        "feedback": lambda: FeedbackStub(opened).Record(click(tenant), metadata=headers(shown), timeout=30),
        "admin": lambda: RankersStub(opened).ListRankers(
            pb.ListRankersRequest(tenant=tenant), metadata=headers(shown), timeout=30
        ),
    }
    try:
        calls[service]()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize("role", ["rank", "feedback", "admin"])
def test_only_the_tenants_own_credentials_open_it(opened: grpc.Channel, role: str) -> None:
    """OK with its token; UNAUTHENTICATED with none, or what is none; PERMISSION_DENIED with another's."""
    assert ask(opened, role, "shop", bearer("shop")) is grpc.StatusCode.OK
    bad = [None, "", "x", SECRET, bearer("shop", 9), bearer("gone"), bearer("shop").text[:-1], "a.b.c.d"]
    assert {ask(opened, role, "shop", one) for one in bad} == {UNAUTHENTICATED}
    assert ask(opened, role, "news", bearer("shop")) is DENIED
    assert ask(opened, role, "gone", bearer("shop")) is DENIED


def test_a_role_opens_its_service_alone(opened: grpc.Channel) -> None:
    """A token for ranking neither records nor administers; the platform's ranks for everybody."""
    assert ask(opened, "rank", "shop", bearer("shop", 2)) is grpc.StatusCode.OK
    assert ask(opened, "feedback", "shop", bearer("shop", 2)) is DENIED
    assert ask(opened, "admin", "shop", bearer("shop", 2)) is DENIED
    assert [ask(opened, "rank", name, bearer(PLATFORM)) for name in ("shop", "news")] == [
        grpc.StatusCode.OK
    ] * 2
    assert ask(opened, "rank", "gone", bearer(PLATFORM)) is grpc.StatusCode.NOT_FOUND
    assert ask(opened, "admin", "shop", bearer(PLATFORM)) is DENIED


def test_a_refusal_does_not_tell_who_exists(opened: grpc.Channel) -> None:
    """For a tenant that is there and for one that is not, the words are the same, and name neither."""
    stub, told = RankingStub(opened), set()
    for name in ("news", "gone", "../shop", "x" * 10_000):
        with pytest.raises(grpc.RpcError) as caught:
            stub.Rank(question(name), metadata=headers(bearer("shop")), timeout=30)
        assert caught.value.code() is DENIED
        told.add(caught.value.details())
    assert told == {"these credentials are not for the tenant that the request names"}


def test_what_expires_or_is_revoked_is_noticed(opened: grpc.Channel, store: DirectoryStore) -> None:
    """A token is no use from its moment on; one that is revoked, and one that is new, count while serving."""
    assert ask(opened, "rank", "shop", bearer("shop", 3)) is UNAUTHENTICATED
    tenants, fresh = Tenants(store.root), bearer("shop", 4)
    assert ask(opened, "rank", "shop", fresh) is UNAUTHENTICATED
    grant(tenants, fresh, "rank", expires=NOW + timedelta(seconds=1))
    assert ask(opened, "rank", "shop", fresh) is grpc.StatusCode.OK
    edit_credentials(tenants, "shop", lambda known: without_token(known, fresh.id, NOW))
    assert ask(opened, "rank", "shop", fresh) is UNAUTHENTICATED


def test_every_message_of_a_stream_is_checked(opened: grpc.Channel) -> None:
    """What a stream asks for its own tenant is answered; one message for another's ends it."""
    asked = iter([question("shop"), question("news")])
    answers = RankingStub(opened).RankMany(asked, metadata=headers(bearer("shop")), timeout=30)
    seen = []
    with pytest.raises(grpc.RpcError) as caught:
        seen.extend(answers)
    assert caught.value.code() is DENIED
    assert [one.results[0].id for one in seen] == ["b"]
    batches = iter([click("shop"), click("news")])
    with pytest.raises(grpc.RpcError) as caught:
        list(FeedbackStub(opened).RecordStream(batches, metadata=headers(bearer("shop")), timeout=30))
    assert caught.value.code() is DENIED


@pytest.mark.parametrize("service", ["ranking", "feedback"])
def test_idle_streams_of_a_tenant_leave_places(server: Server, opened: grpc.Channel, service: str) -> None:
    """Six of eight are one tenant's at most, though they have sent nothing yet; who shows no credentials gets
    none."""
    many = RankingStub(opened).RankMany if service == "ranking" else FeedbackStub(opened).RecordStream
    places = (server.service if service == "ranking" else server.feedback)._streams
    message = question if service == "ranking" else click

    def nothing_yet() -> Any:
        return iter(SimpleQueue[Any]().get, None)

    idle = [many(nothing_yet(), metadata=headers(bearer("shop")), timeout=60) for _ in range(6)]
    while places._held["shop"] < 6:
        pass
    for shown, status in ((bearer("shop", 2), grpc.StatusCode.RESOURCE_EXHAUSTED), (None, UNAUTHENTICATED)):
        with pytest.raises(grpc.RpcError) as caught:
            list(many(nothing_yet(), metadata=headers(shown), timeout=60))
        assert caught.value.code() is status
    assert len(list(many(iter([message("news")]), metadata=headers(bearer("news")), timeout=60))) == 1
    for each in idle:
        each.cancel()


def test_health_and_reflection_need_none(opened: grpc.Channel) -> None:
    """Whoever watches over the process needs no tenant."""
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    health = health_pb2_grpc.HealthStub(opened)
    assert health.Check(health_pb2.HealthCheckRequest(), timeout=30).status == 1


def test_the_client_sends_its_token(server: Server) -> None:
    """`token=` is all that a program needs; without it the error says so."""
    rows = [{"id": name} for name in "abc"]
    with Client(target(server), "shop", token=bearer("shop").text, timeout_s=30) as client:
        assert client.rank("q", rows).ids[0] == "b"
        assert [one.ids[0] for one in client.rank_stream("q", rows)][-1] == "b"
    with Client(target(server), "shop", timeout_s=30) as client, pytest.raises(Refused, match="Bearer"):
        client.rank("q", rows)
    with pytest.raises(ValueError, match="line break"):
        Client(target(server), "shop", token="secret\n")


def test_sluice_rank_takes_a_token(server: Server, tmp_path: Path) -> None:
    """From an option or the environment; without one it says what is missing, and exits 1."""
    from typer.testing import CliRunner

    from cli.main import app

    file = tmp_path / "rows.jsonl"
    file.write_text('{"id": "a"}\n{"id": "b"}')
    asked = [
        "rank",
        "--target",
        target(server),
        "--tenant",
        "shop",
        "--query",
        "q",
        "--candidates",
        str(file),
    ]
    runner = CliRunner()
    assert "b" in runner.invoke(app, [*asked, "--token", bearer("shop").text]).stdout
    assert runner.invoke(app, asked, env={"SLUICE_TOKEN": bearer("shop").text}).exit_code == 0
    refused = runner.invoke(app, asked)
    assert refused.exit_code == 1
    assert "Bearer" in refused.stderr


def test_the_client_for_asyncio_sends_its_token(server: Server) -> None:
    """The same, inside an event loop, for events too."""

    async def ask_and_tell() -> tuple[str, int]:
        how = {"token": bearer("shop").text, "timeout_s": 30, "now": NOW.timestamp}
        async with AsyncClient(target(server), "shop", **how) as client:
            ranked = await client.rank("q", [{"id": name} for name in "abc"])
            click = {"request_id": "r", "candidate_id": "a", "type": "click"}
            return ranked.ids[0], (await client.record([click])).accepted

    assert asyncio.run(ask_and_tell()) == ("b", 1)


def test_the_first_credentials_shut_an_open_server(tmp_path: Path) -> None:
    """A server that asked nobody asks from the first token on, also when that is gone again."""
    shelf, tenants = DirectoryStore(tmp_path), Tenants(tmp_path)
    version = shelf.publish("shop", "default", write_tiny_bundle(tmp_path / "bundle"))
    shelf.promote("shop", "default", version)
    with running(shelf, Settings(port=0, poll_s=1e-9)) as server, channel(server) as opened:
        assert ask(opened, "rank", "shop", None) is grpc.StatusCode.OK
        tenants.protect()
        assert ask(opened, "rank", "shop", None) is UNAUTHENTICATED
        (tmp_path / "access.json").unlink()
        assert ask(opened, "rank", "shop", None) is UNAUTHENTICATED


def test_credentials_that_cannot_be_read_open_nothing(store: DirectoryStore) -> None:
    """A damaged file is no reason to let everybody in; mended, it counts again."""

    class Away:
        broken = True

        def get(self, name: str) -> Tenant:
            return Tenant()

        def platform(self) -> Platform | None:
            if self.broken:
                raise OSError
            return None

    from serving.register import Register

    away = Away()
    register = Register(away, 0.0)
    assert register.platform() == Platform()
    away.broken = False
    assert register.platform() is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_a_port_that_others_reach_needs_credentials(host: str) -> None:
    """Refused without; with `insecure` a warning; with credentials a warning until TLS is there."""
    with pytest.raises(InvalidConfig, match="sluice tenants token"):
        check_reach(Settings(host=host), protected=False)
    assert "asks nobody" in check_reach(Settings(host=host, insecure=True), protected=False)
    assert "TLS" in check_reach(Settings(host=host), protected=True)
    assert check_reach(Settings(host=host, tls=Tls(certificate="a", key="b")), protected=True) == ""
    assert check_reach(Settings(), protected=False) == ""


def test_a_server_without_credentials_does_not_start_for_others() -> None:
    """The server itself refuses, whoever starts it."""
    server = Server(Settings(host="0.0.0.0", port=0), Shelf({}))
    with pytest.raises(InvalidConfig):
        server.start()
    server.drain()


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a server's certificate for localhost, clients `shop.example` and `stranger.example`."""
    folder = tmp_path_factory.mktemp("pki")
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

    def sign(name: str, *more: str) -> None:
        files = ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2"]
        subprocess.run([*new, *files, *more], cwd=folder, check=True, capture_output=True)

    ca = ["-CA", "ca.pem", "-CAkey", "ca.key"]
    sign("ca", "-subj", "/CN=authority")
    sign("server", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", *ca)
    for name in ("shop", "stranger"):
        sign(name, "-subj", f"/CN={name}.example", *ca)
    sign("forged", "-subj", "/CN=shop.example")
    return folder


def test_a_client_certificate_names_the_tenant(store: DirectoryStore, pki: Path) -> None:
    """Its name opens the tenant it is bound to and no other; of another authority, it opens nothing."""
    tenants = Tenants(store.root)
    bound = Certificate(name="shop.example", roles=("rank",))
    edit_credentials(tenants, "shop", lambda known: with_certificate(known, bound))
    files = {key: str(pki / name) for key, name in FILES.items()}
    rows = [{"id": name} for name in "abc"]
    with running(store, Settings(host="localhost", port=0, tls=Tls(**files))) as server:

        def client(tenant: str, name: str, token: str = "") -> Client:
            pair = [(pki / f"{name}.{end}").read_bytes() for end in ("pem", "key")]
            trust = ClientTls((pki / "ca.pem").read_bytes(), *pair)
            return Client(f"localhost:{server.port}", tenant, token=token, tls=trust, timeout_s=5)

        assert client("shop", "shop").rank("q", rows).ids[0] == "b"
        for tenant, name in (("news", "shop"), ("shop", "stranger"), ("gone", "shop")):
            with pytest.raises(Refused) as caught:
                client(tenant, name).rank("q", rows)
            assert caught.value.code is DENIED
        assert client("news", "stranger", bearer("news").text).rank("q", rows).ids[0] == "b"
        with pytest.raises(Exception, match=r"UNAVAILABLE|DEADLINE"):
            client("shop", "forged").rank("q", rows)


FILES = {"certificate": "server.pem", "key": "server.key", "client_ca": "ca.pem"}


def test_half_a_certificate_is_refused(tmp_path: Path) -> None:
    """A certificate without its key, or a file that is not there, is told by the name of the setting."""
    for tls, path in ((Tls(certificate="x"), "tls"), (Tls(certificate="/none", key="/none"), "tls.key")):
        server = Server(Settings(port=0, tls=tls), Shelf({}))
        with pytest.raises(InvalidConfig, match=rf"^\$\.{path}:"):
            server.start()
        server.drain()


def test_an_open_server_serves_as_before() -> None:
    """Where nothing declares tenants, nobody is asked for anything."""
    with running(ranker()) as server, channel(server) as opened:
        assert ask(opened, "rank", "nobody", None) is grpc.StatusCode.NOT_FOUND
        assert ask(opened, "admin", "demo", None) is grpc.StatusCode.FAILED_PRECONDITION


def test_the_default_credentials_hold_nothing() -> None:
    """A tenant without credentials is opened by none."""
    assert Tenant().credentials == Credentials()
