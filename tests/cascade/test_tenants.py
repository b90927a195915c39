"""Tenants as declared: names, defaults, credentials at rest, and a log of who changed what."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.audit import AUDIT, Entry, append, read_audit
from cascade.credentials import (
    PLATFORM,
    Bearer,
    Certificate,
    Credentials,
    Token,
    check_roles,
    find_token,
    parse_bearer,
    roles_of,
    with_certificate,
    with_token,
    without_certificate,
    without_token,
)
from cascade.names import is_name
from cascade.store import DirectoryStore
from cascade.tenants import ACCESS, TENANT, Quota, Tenant, Tenants, quota_of
from cascade.testing import NOON, write_tiny_bundle
from features.errors import Conflict, Corrupt, InvalidInput, NotFound, Unavailable

HOSTILE = [
    "",
    "..",
    ".",
    "a/b",
    "../other",
    "a\\b",
    "a.b",
    "A",
    "shop ",
    "shop\n",
    "shop\x00",
    "ѕhop",  # the first letter is Cyrillic
    "shop\u200b",
    "ｓｈｏｐ",
    "~",
    "-shop",
    "x" * 64,
    "x" * 10_000,
]


@pytest.fixture
def tenants(tmp_path: Path) -> Tenants:
    """A store directory's tenants, at noon."""
    return Tenants(tmp_path / "store", lambda: NOON)


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: repr(name[:20]))
def test_names_that_lead_astray_are_refused_everywhere(tenants: Tenants, name: str) -> None:
    """No method looks anything up under a name that is none, and the message stays short."""
    for act in (tenants.get, tenants.remove, tenants.audit, lambda one: tenants.add(one, Tenant())):
        with pytest.raises(InvalidInput) as caught:
            act(name)
        assert len(str(caught.value)) < 500
    assert not tenants.root.exists() or [*tenants.root.iterdir()] == []


def test_what_is_declared_comes_back(tenants: Tenants) -> None:
    """A tenant reads as it was added, with the moment; twice is a conflict."""
    declared = Tenant(share_with_base=True, quota=Quota(rate=10, burst=50), weight=3.0, priority="low")
    tenants.add("shop", declared)
    assert tenants.get("shop") == msgspec.structs.replace(declared, created=NOON)
    with pytest.raises(Conflict):
        tenants.add("shop", Tenant())


def test_rankers_alone_make_a_tenant(tenants: Tenants, tmp_path: Path) -> None:
    """A tenant that was published for before tenants were declared has the defaults, and can be declared."""
    DirectoryStore(tenants.root).publish("shop", "main", write_tiny_bundle(tmp_path / "bundle"))
    assert tenants.get("shop") == Tenant()
    assert tenants.get("shop").share_with_base is False
    tenants.add("shop", Tenant(weight=2.0))
    assert tenants.get("shop").weight == 2.0
    assert DirectoryStore(tenants.root).rankers("shop") == ("main",)


def test_an_unknown_tenant_names_no_other(tenants: Tenants) -> None:
    """Whoever asks for a tenant that is not there learns of none that is."""
    tenants.add("secret-customer", Tenant())
    with pytest.raises(NotFound) as caught:
        tenants.get("shop")
    assert "secret" not in str(caught.value)


def test_a_store_that_is_away_is_not_an_empty_one(tenants: Tenants) -> None:
    """Without the directory nothing is known: that is no reason to call a tenant gone."""
    with pytest.raises(Unavailable):
        tenants.get("shop")


def test_a_file_that_came_to_harm(tenants: Tenants) -> None:
    """A declaration that cannot be read is an error, never the defaults."""
    tenants.add("shop", Tenant())
    for content in (b"", b"{", b'{"weight": -1}', b'{"wieght": 1}', b"\xff"):
        (tenants.root / "shop" / TENANT).write_bytes(content)
        with pytest.raises(Corrupt):
            tenants.get("shop")
    (tenants.root / ACCESS).write_bytes(b"[]")
    with pytest.raises(Corrupt):
        tenants.platform()


def test_removing_takes_everything_but_the_log(tenants: Tenants, tmp_path: Path) -> None:
    """The folder is gone, others stay, and what was done to the tenant and its rankers can still be read."""
    shelf = DirectoryStore(tenants.root)
    version = shelf.publish("shop", "main", write_tiny_bundle(tmp_path / "bundle"))
    shelf.promote("shop", "main", version, actor="token:1")
    tenants.add("news", Tenant())
    tenants.remove("shop", "local:me")
    assert shelf.tenants() == ("news",)
    assert [each for each in tenants.root.iterdir() if "shop" in each.name or "removed" in each.name] == []
    told = [(one.action, one.actor, one.after) for one in tenants.audit("shop")]
    assert ("promote", "token:1", version) in told
    assert ("tenant-remove", "local:me", "") in told
    with pytest.raises(NotFound):
        tenants.remove("shop")


def test_the_log_keeps_no_secrets(tenants: Tenants) -> None:
    """Neither a token nor its hash stands in it."""
    bearer, token = made("shop")
    tenants.add("shop", Tenant(credentials=Credentials(tokens=(token,))))
    tenants.change("shop", "tenant-set", lambda one: msgspec.structs.replace(one, weight=2.0))
    text = (tenants.root / AUDIT).read_text()
    assert "weight" in text
    assert bearer.secret not in text
    assert bearer.hash not in text


def test_lines_that_a_crash_cut_off_are_passed_over(tmp_path: Path) -> None:
    """The next line begins on a line of its own, and nothing whole is lost."""
    file = tmp_path / AUDIT
    entry = Entry(time=NOON, actor="local:me", action="promote")
    append(file, entry)
    with file.open("ab") as end:
        end.write(b'{"time": "2026')
    append(file, entry, entry)
    assert read_audit(file) == (entry,) * 3
    assert read_audit(tmp_path / "none") == ()


def made(tenant: str, **fields: object) -> tuple[Bearer, Token]:
    """A token as shown and as kept."""
    bearer = Bearer(tenant, "1a2b", "s" * 43)
    kept = {"id": bearer.id, "hash": bearer.hash, "roles": ("rank",), "created": NOON, **fields}
    return bearer, Token(**kept)


def test_a_token_holds_until_it_expires_or_is_revoked() -> None:
    """The moment of expiry is too late; revoking twice keeps the first moment."""
    bearer, token = made("shop", expires=NOON + timedelta(hours=1))
    kept = with_token(Credentials(), token)
    assert find_token(kept, bearer, NOON) == token
    assert find_token(kept, bearer, NOON + timedelta(hours=1)) is None
    gone = without_token(without_token(kept, "1a2b", NOON), "1a2b", NOON + timedelta(days=1))
    assert find_token(gone, bearer, NOON) is None
    assert gone.tokens[0].revoked == NOON
    with pytest.raises(NotFound):
        without_token(kept, "beef", NOON)


def test_a_token_of_one_tenant_opens_no_other() -> None:
    """The hash is over the tenant too: the same entry copied into another's file is worth nothing."""
    _, token = made("shop")
    stolen = Bearer("news", token.id, "s" * 43)
    assert find_token(Credentials(tokens=(token,)), stolen, NOON) is None
    assert find_token(Credentials(tokens=(token,)), Bearer(PLATFORM, token.id, "s" * 43), NOON) is None


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=400) | st.from_regex(r"sluice\.[^.]{0,80}\.[^.]{0,20}\.[^.]{0,60}", fullmatch=True))
def test_no_text_parses_to_a_tenant_that_is_none(text: str) -> None:
    """Whatever stands behind `Bearer`, what comes of it can be looked up safely, and reads back the same."""
    bearer = parse_bearer(text)
    if bearer is not None:
        assert bearer.tenant == PLATFORM or is_name(bearer.tenant)
        assert bearer.text == text


def test_certificates_by_name() -> None:
    """A name has the roles it was last bound to, none once they are taken away; names are compared whole."""
    one = with_certificate(Credentials(), Certificate(name="shop.example", roles=("rank",)))
    both = with_certificate(one, Certificate(name="shop.example", roles=("rank", "admin")))
    assert roles_of(both, frozenset({"shop.example", "other"})) == {"rank", "admin"}
    assert roles_of(both, frozenset({"example", "shop.example.org"})) == frozenset()
    assert without_certificate(both, "shop.example").certificates == ()
    with pytest.raises(NotFound, match="--unbind"):
        without_certificate(both, "example")


def test_roles_and_quotas_that_mean_nothing() -> None:
    """Misspelt roles, a burst without a rate, and a burst of nothing are refused; 0 a second is a quota."""
    assert check_roles(["admin", "rank", "rank"]) == ("rank", "admin")
    with pytest.raises(InvalidInput, match="rank, feedback, admin"):
        check_roles(["root"])
    with pytest.raises(InvalidInput):
        quota_of(None, None, 5.0)
    with pytest.raises(InvalidInput):
        quota_of(None, 5.0, 0.0)
    assert quota_of(None, 0.0, None) == Quota(rate=0.0, burst=0.0)
    assert quota_of(None, 5.0, None) == Quota(rate=5.0, burst=50.0)
    assert quota_of(Quota(rate=5.0, burst=7.0), None, 9.0) == Quota(rate=5.0, burst=9.0)
    assert quota_of(None, None, None) is None


def test_time_is_in_utc(tenants: Tenants) -> None:
    """Moments survive the file to the microsecond, in UTC."""
    exact = datetime(2026, 3, 4, 5, 6, 7, 89, UTC)
    tenants.add("shop", Tenant(created=exact))
    assert tenants.get("shop").created == exact
