"""`sluice profiles`, what `sluice forget` does to profiles, and training that reads behaviour from a log."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from cascade.eventlog.testing import TENANT, done, shown, writing
from cascade.manifest import GOLDEN
from cascade.profiles.follow import advance, agree
from cascade.profiles.keys import ITEM, PAGE, QUERY, SESSION, USER, key_of
from cascade.profiles.lmdb_store import LmdbProfiles
from cascade.profiles.rules import Rules
from cascade.store import DirectoryStore
from cli.main import app
from features.errors import NotFound, NotReady, SluiceError


def run(*arguments: object) -> Result:
    """The result of a command line; what the program would catch is raised."""
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if isinstance(result.exception, SluiceError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def report(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A page and a click each of two people."""
    with writing(tmp_path / "log") as writer:
        for user in ("ann", "bob"):
            page = shown(f"r-{user}", "a", "b", user=user, session=f"s-{user}", query="a film")
            writer.append(TENANT, [page, done("e", f"r-{user}", "a")]).durable.result(10)
    return tmp_path / "log"


@pytest.fixture
def profiles(log: Path) -> Path:
    """The profiles that a server makes of it."""
    folder = log.with_name("log-profiles")
    store = LmdbProfiles(folder, 1 << 26)
    agree(store, TENANT, Rules())
    while advance(log / TENANT, store, TENANT, Rules()):
        pass
    store.close()
    return folder


def there(folder: Path, *keys: bytes) -> list[bool]:
    """Which keys a store has."""
    store = LmdbProfiles(folder, 1 << 26)
    try:
        return [value is not None for value in store.read(TENANT, list(keys))]
    finally:
        store.close()


def keys_of(user: str) -> tuple[bytes, ...]:
    return key_of(USER, user), key_of(SESSION, f"s-{user}"), key_of(PAGE, f"r-{user}")


def test_forgetting_a_person_forgets_their_profiles(log: Path, profiles: Path) -> None:
    """The person's profile, sessions and pages are gone; another's, and the items' counts, stay."""
    found = report("forget", "--user", "ann", "--tenant", TENANT, "--log", log)
    assert found["removed"]["impressions"] == 1
    assert found["profiles"] == 4  # user, session, page, and which of its interactions counted
    assert there(profiles, *keys_of("ann")) == [False] * 3
    assert there(profiles, *keys_of("bob"), key_of(ITEM, "a"), key_of(QUERY, "a film")) == [True] * 5
    assert report("forget", "--user", "ann", "--tenant", TENANT, "--log", log)["profiles"] == 0
    again = run("forget", "--user", "bob", "--tenant", TENANT, "--log", log)
    assert "profiles: 4 entries removed" in again.stdout


def test_forgetting_without_profiles_makes_none(log: Path) -> None:
    """No folder comes to be, and it is said that none was looked at, for machines by null."""
    asked = ("forget", "--tenant", TENANT, "--log", log)
    assert report(*asked, "--user", "ann")["profiles"] is None
    assert "no profiles looked at; name them with --profiles" in run(*asked, "--user", "bob").stderr
    assert not log.with_name("log-profiles").exists()


def test_a_rebuild_ends_where_the_server_was(log: Path, profiles: Path) -> None:
    """The same profile out of the log alone, and after it other rules."""
    before = report("profiles", "show", "--user", "ann", "--tenant", TENANT, "--log", log)
    assert report("profiles", "rebuild", "--log", log, "--tenant", TENANT)["events"] >= 4
    after = report("profiles", "show", "--user", "ann", "--tenant", TENANT, "--log", log)
    assert [(row["of"], row["name"]) for row in after] == [(row["of"], row["name"]) for row in before]
    assert {(row["of"], row["name"]) for row in after} == {("user", ""), ("item", "a"), ("item", "b")}
    assert (
        "decayed counts" in run("profiles", "show", "--user", "ann", "--tenant", TENANT, "--log", log).stdout
    )
    settings = log.with_name("server.toml")
    settings.write_text("[profiles.rules]\nlong_days = 2\n")
    run("profiles", "rebuild", "--log", log, "--tenant", TENANT, "--settings", settings)
    store = LmdbProfiles(profiles, 1 << 26)
    with pytest.raises(NotReady):
        agree(store, TENANT, Rules())
    store.close()


def test_what_is_not_there_is_said(log: Path) -> None:
    """A log without the tenant, and a folder that cannot be."""
    with pytest.raises(NotFound):
        run("profiles", "rebuild", "--log", log, "--tenant", "other")
    with pytest.raises(NotFound, match="--profiles"):
        run("profiles", "rebuild", "--log", log, "--tenant", TENANT, "--profiles", "/nowhere/at/all")


CONFIG = """
[[features]]
name = "liked"
kind = "behaviour"
of = "item"

[[stages]]
kind = "lambdamart"
train = { trees = 10, leaves = 3, min_in_leaf = 2, folds = 2, early_stopping = 0 }
"""


def test_a_collection_and_a_log_train_a_ranker_that_knows_behaviour(tmp_path: Path) -> None:
    """What was clicked in the log is what the model goes by; without the log it knows nothing."""
    numbers = range(12)
    with writing(tmp_path / "log") as writer:
        for number in numbers:
            page = shown(f"r{number}", f"bad{number}", f"good{number}")
            writer.append(TENANT, [page, done("e", f"r{number}", f"good{number}")]).durable.result(10)
    write_collection(tmp_path / "collection", numbers)
    (tmp_path / "cascade.toml").write_text(CONFIG)
    told, store = tmp_path / "told.json", tmp_path / "store"
    base = ("train", "--config", tmp_path / "cascade.toml", "--store", store, "--tenant", TENANT)
    base = (*base, "--collection", tmp_path / "collection", "--json", told)
    run(*base, "--log", tmp_path / "log", "--promote")
    assert gain(told) == 1.0
    (query, *_) = msgspec.json.decode((DirectoryStore(store).path(TENANT, "default") / GOLDEN).read_bytes())
    clicks = dict(zip(query["ids"], query["columns"]["behaviour.item.click.long"]["values"], strict=True))
    assert clicks == {"bad0": 0.0, "good0": pytest.approx(1.0, abs=0.01)}
    run(*base)
    assert gain(told) == 0.0


def gain(told: Path) -> float:
    """What the behaviour feature brought, of all that was learned."""
    found: float = msgspec.json.decode(told.read_bytes())["stages"][0]["fit"]["gain"]["liked"]
    return found


def write_collection(folder: Path, numbers: range) -> None:
    """A query and two documents for each number, the good one relevant."""
    folder.mkdir()
    documents = [{"id": f"{kind}{number}", "title": "x"} for number in numbers for kind in ("bad", "good")]
    queries = [{"_id": f"q{number}", "text": f"topic{number}"} for number in numbers]
    qrels = [
        f"q{number}\t{kind}{number}\t{int(kind == 'good')}" for number in numbers for kind in ("bad", "good")
    ]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)))
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (folder / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *qrels]))
