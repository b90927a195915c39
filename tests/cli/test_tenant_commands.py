"""`sluice tenants`, `--approve`, and who a store says has changed it, as a person or a script uses them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from cascade.credentials import find_token, parse_bearer
from cascade.profiles.opening import beside, open_profiles
from cascade.profiles.store import Entry
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
        (["set", "there"], "give what to change"),
        (["token"], "--platform"),
        (["token", "there", "--platform"], "--platform"),
        (["token", "there", "--role", "root"], "rank, feedback, admin"),
        (["token", "there", "--expires", "soon"], "12h"),
        (["token", "there", "--expires", "999999w"], "100 years"),
        (["token", "there", "--revoke", "beef"], "beef"),
        (["token", "there", "--unbind", "beef"], "beef"),
        (["token", "there", "--unbind", "beef", "--revoke", "beef"], "one of"),
        (["token", "nobody"], "no tenant"),
        (["show", "nobody"], "no tenant"),
        (["remove", "nobody", "--yes"], "no tenant"),
        (["remove", "there", "--log", "nowhere", "--yes"], "--log"),
        (["remove", "there", "--profiles", "nowhere", "--yes"], "--profiles"),
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
    tenants(store, "token", "shop", "--unbind", "shop.example")
    assert shown(store, "shop")["credentials"] == []
    told = msgspec.json.decode(tenants(store, "audit", "shop", "--json").stdout)
    assert (told[-1]["action"], told[-1]["after"]) == ("certificate-remove", "shop.example")


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


def remembered(where: Path) -> bytes | None:
    """What the profiles of a directory have of Ann in `shop`."""
    kept = open_profiles(str(where))
    (value,) = kept.read("shop", [b"user:ann"])
    kept.close()
    return value


def remember(where: Path) -> None:
    """Profiles of Ann in a directory."""
    kept = open_profiles(str(where))
    kept.update("shop", [b"user:ann"], lambda _: {b"user:ann": Entry(b"hers")})
    kept.close()


def test_nothing_is_left_for_the_next_of_that_name(tmp_path: Path) -> None:
    """With --log the profiles beside it go too, with --profiles those elsewhere; what stays is told."""
    store, log, elsewhere = tmp_path / "store", tmp_path / "log", tmp_path / "kept"
    for where in (beside(log), elsewhere):
        remember(where)
    (log / "shop").mkdir(parents=True)
    tenants(store, "add", "shop")
    told = tenants(store, "remove", "shop", "--yes").stderr
    assert "--log" in told
    assert "--profiles" in told
    assert remembered(beside(log)) == b"hers"
    assert "--profiles" not in tenants(store, "remove", "shop", "--log", log, "--yes").stderr
    assert remembered(beside(log)) is None
    assert remembered(elsewhere) == b"hers"
    tenants(store, "remove", "shop", "--profiles", elsewhere, "--yes")
    assert remembered(elsewhere) is None


@pytest.mark.parametrize("command", ["add", "remove"])
def test_a_removal_that_was_killed_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The next command sweeps what it left, and names what cannot be removed."""
    tenants(tmp_path, "add", "news")
    tenants(tmp_path, "add", "shop")
    with monkeypatch.context() as killed:
        killed.setattr("cascade.tenants.remove_tree", lambda _: None)
        Tenants(tmp_path).remove("shop")
    (left,) = tmp_path.glob(".removed-*")
    arguments = [command, "shop"] if command == "add" else [command, "news", "--yes"]
    assert "cannot" not in tenants(tmp_path, *arguments).stderr
    assert not left.exists()
    left.mkdir()
    monkeypatch.setattr("cascade.files.remove_tree", lambda _: None)
    assert f"{left} cannot be removed" in tenants(tmp_path, "add", "more").stderr


def test_a_base_of_whoever_does_not_share(tmp_path: Path) -> None:
    """Another's ranker answers for nobody unless its owner agreed; a tenant may name its own."""
    shelf = DirectoryStore(tmp_path)
    shelf.promote("lender", "default", shelf.publish("lender", "default", write_tiny_bundle(tmp_path / "b")))
    for arguments in (["add", "shop"], ["set", "lender2"]):
        if arguments[0] == "set":
            tenants(tmp_path, "add", "lender2")
        with pytest.raises(InvalidInput, match=r"learned from lender.*share-with-base"):
            tenants(tmp_path, *arguments, "--base", "lender/default")
    tenants(tmp_path, "set", "lender", "--base", "lender/default", "--share-with-base")
    tenants(tmp_path, "add", "shop", "--base", "lender/default")
    assert Tenants(tmp_path).get("shop").base == "lender/default"


def test_times_stay_on_a_line(tmp_path: Path) -> None:
    """At 80 columns dates and times are whole."""
    tenants(tmp_path, "add", "a-tenant-with-a-name-that-is-long", "--rate", 1_000_000, "--share-with-base")
    made = Tenants(tmp_path).get("a-tenant-with-a-name-that-is-long").created
    assert made is not None
    assert f"{made:%Y-%m-%d}" in tenants(tmp_path, "list").stdout
    assert f"{made:%Y-%m-%d %H:%M}" in tenants(tmp_path, "audit", "a-tenant-with-a-name-that-is-long").stdout


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
