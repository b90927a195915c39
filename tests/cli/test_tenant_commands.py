"""`sluice tenants`, `--approve`, and who a store says has changed it, as a person or a script uses them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from cascade.credentials import find_token, parse_bearer
from cascade.store import DirectoryStore
from cascade.tenants import Quota, Tenant, Tenants
from cascade.testing import NOON, write_tiny_bundle
from cli.main import app
from cli.tokens import span
from features.errors import Conflict, InvalidInput, NotFound, SluiceError


def run(*arguments: object, **more: Any) -> Result:
    """The result of a command line; what the program would catch is raised."""
    result = CliRunner().invoke(app, [str(each) for each in arguments], **more)
    if isinstance(result.exception, SluiceError):
        raise result.exception
    return result


def tenants(store: Path, *arguments: object, **more: Any) -> Result:
    """`sluice tenants …` on a store."""
    return run("tenants", arguments[0], *arguments[1:], "--store", store, **more)


def shown(store: Path, name: str) -> dict[str, Any]:
    """What `show --json` prints."""
    told: dict[str, Any] = msgspec.json.decode(tenants(store, "show", name, "--json").stdout)
    return told


def test_add_set_show(tmp_path: Path) -> None:
    """What is given stands, the rest stays; the burst is ten seconds of the rate unless it is given."""
    tenants(tmp_path, "add", "shop", "--rate", 100, "--share-with-base", "--base", "global/default")
    tenants(tmp_path, "set", "shop", "--weight", 3, "--priority", "low")
    told = shown(tmp_path, "shop")
    assert (told["rate"], told["burst"], told["weight"], told["priority"]) == (100.0, 1000.0, 3.0, "low")
    assert (told["share_with_base"], told["base"], told["rankers"]) == (True, "global/default", {})
    tenants(tmp_path, "set", "shop", "--unlimited", "--keep-private")
    assert Tenants(tmp_path).get("shop").quota is None
    assert Tenants(tmp_path).get("shop").share_with_base is False
    tenants(tmp_path, "set", "shop", "--rate", 0)
    assert Tenants(tmp_path).get("shop").quota == Quota(rate=0.0, burst=0.0)
    assert "shop" in tenants(tmp_path, "list").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["add", "Shop"], "is no name"),
        (["add", "x" * 10_000], "is no name"),
        (["add", "shop", "--burst", "5"], "--burst"),
        (["add", "shop", "--priority", "urgent"], "high, normal, low"),
        (["add", "shop", "--base", "../etc/passwd"], "--base"),
        (["token"], "--platform"),
        (["token", "there", "--platform"], "--platform"),
        (["token", "there", "--role", "root"], "rank, feedback, admin"),
        (["token", "there", "--expires", "soon"], "12h"),
        (["token", "there", "--revoke", "beef"], "beef"),
        (["token", "nobody"], "no tenant"),
        (["show", "nobody"], "no tenant"),
        (["remove", "nobody", "--yes"], "no tenant"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, arguments: list[str], says: str) -> None:
    """Bad input is one of our errors, names the option, and changes nothing."""
    Tenants(tmp_path).add("there", Tenant())
    with pytest.raises((InvalidInput, NotFound), match=says):
        tenants(tmp_path, *arguments)
    assert DirectoryStore(tmp_path).tenants() == ("there",)


def test_twice_is_a_conflict(tmp_path: Path) -> None:
    """A tenant is added once."""
    tenants(tmp_path, "add", "shop")
    with pytest.raises(Conflict, match="tenants set"):
        tenants(tmp_path, "add", "shop")


def test_a_token_is_shown_once(tmp_path: Path) -> None:
    """Standard output is the token alone; it opens the tenant, and no file of the store holds it."""
    tenants(tmp_path, "add", "shop")
    text = tenants(tmp_path, "token", "shop", "--role", "admin", "--expires", "30d").stdout.strip()
    bearer = parse_bearer(text)
    assert bearer is not None
    token = find_token(Tenants(tmp_path).get("shop").credentials, bearer, NOON.replace(year=2026))
    assert token is not None
    assert token.roles == ("admin",)
    assert token.expires is not None
    assert Tenants(tmp_path).platform() is not None
    files = [file.read_text() for file in tmp_path.rglob("*") if file.is_file()]
    assert not any(bearer.secret in content for content in files)
    tenants(tmp_path, "token", "shop", "--revoke", bearer.id)
    assert find_token(Tenants(tmp_path).get("shop").credentials, bearer, NOON) is None
    assert shown(tmp_path, "shop")["credentials"][0]["revoked"]


def test_tokens_differ(tmp_path: Path) -> None:
    """No two are alike, and each has 256 random bits."""
    tenants(tmp_path, "add", "shop")
    made = {parse_bearer(tenants(tmp_path, "token", "shop").stdout.strip()) for _ in range(5)}
    assert len({one.secret for one in made if one}) == 5
    assert all(one and len(one.secret) == 43 for one in made)


def test_the_platforms_and_certificates(tmp_path: Path) -> None:
    """A token for everybody, and a certificate's name in the place of a token."""
    tmp_path.joinpath("s").mkdir()
    store = tmp_path / "s"
    text = tenants(store, "token", "--platform").stdout.strip()
    bearer, platform = parse_bearer(text), Tenants(store).platform()
    assert bearer is not None
    assert platform is not None
    assert find_token(platform.credentials, bearer, NOON) is not None
    tenants(store, "add", "shop")
    tenants(store, "token", "shop", "--certificate", "shop.example", "--role", "rank")
    assert shown(store, "shop")["credentials"] == [{"certificate": "shop.example", "roles": "rank"}]


def test_removing_asks_first(tmp_path: Path) -> None:
    """Without a yes everything stays; with it rankers and, where named, events go; the audit log tells."""
    store, log = tmp_path / "store", tmp_path / "log"
    version = DirectoryStore(store).publish("shop", "default", write_tiny_bundle(tmp_path / "bundle"))
    (log / "shop").mkdir(parents=True)
    assert tenants(store, "remove", "shop", input="n\n").exit_code == 1
    assert DirectoryStore(store).versions("shop", "default") == (version,)
    tenants(store, "remove", "shop", "--log", log, "--yes")
    assert DirectoryStore(store).tenants() == ()
    assert not (log / "shop").exists()
    told = msgspec.json.decode(tenants(store, "audit", "shop", "--json").stdout)
    assert [one["action"] for one in told] == ["publish", "tenant-remove"]


def test_the_command_line_is_audited(tmp_path: Path) -> None:
    """Promotions and rollbacks of this machine's user are told with the reason."""
    store = tmp_path / "store"
    where = ("--store", store, "--tenant", "shop")
    old, new = (
        run("publish", write_tiny_bundle(tmp_path / str(at), 3.0 + at), *where).stdout.strip()
        for at in range(2)
    )
    run("promote", *where, "--version", old)
    run("promote", *where, "--version", new, "--force", "--reason", "a sale")
    run("rollback", *where)
    told = msgspec.json.decode(tenants(store, "audit", "shop", "--json").stdout)
    changes = [
        (one["action"], one.get("before", ""), one["after"], one.get("reason", "")) for one in told[2:]
    ]
    assert changes == [("promote", "", old, ""), ("promote", old, new, "a sale"), ("rollback", new, old, "")]
    assert {one["actor"].split(":")[0] for one in told} == {"local"}


def test_approving_needs_the_gate(tmp_path: Path) -> None:
    """What the gate refuses is not approved, whatever is forced; the first version has nothing against it."""
    store = tmp_path / "store"
    where = ("--store", store, "--tenant", "shop")
    old = run("publish", write_tiny_bundle(tmp_path / "a"), *where).stdout.strip()
    run("promote", *where, "--version", old, "--approve")
    kept = DirectoryStore(store).promotion("shop", "default")
    assert (kept.version, [one.version for one in kept.records]) == ("", [old])
    run("promote", *where, "--version", old)
    new = run("publish", write_tiny_bundle(tmp_path / "b", 4.0), *where).stdout.strip()
    refused = run("promote", *where, "--version", new, "--approve", "--force", "--reason", "no")
    assert refused.exit_code == 1
    assert DirectoryStore(store).promotion("shop", "default").version == old


def test_time_spans() -> None:
    """Minutes, hours, days and weeks."""
    assert span("90m").total_seconds() == 5_400
    assert span("8w").days == 56
    for text in ("", "5", "d", "0d", "-1d", "1.5h", "9999999d"):
        with pytest.raises(InvalidInput):
            span(text)
