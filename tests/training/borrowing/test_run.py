"""Many tenants in one run: none stops another, and what is done is not done again."""

from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from cascade.store import DirectoryStore
from training.borrowing import run
from training.borrowing.base import Base
from training.borrowing.members import Member, in_folder
from training.borrowing.parallel import DIED, shared_out, train_all
from training.borrowing.run import Job, Outcome
from training.borrowing.testing import fatal, write_shop
from training.borrowing.told import as_json, summary


@pytest.fixture
def shops(tmp_path: Path) -> tuple[Member, ...]:
    """A shop of another taste, one without queries, one that is broken, and one whose name is none."""
    write_shop(tmp_path / "shops" / "rated", 40, (1.0, 0.7), seed=3)
    write_shop(tmp_path / "shops" / "fresh", 0)
    write_shop(tmp_path / "shops" / "broken", 4)
    (tmp_path / "shops" / "broken" / "qrels.tsv").write_text("q0\tq0d0\tlots\n")
    (tmp_path / "shops" / "NO").mkdir()
    return in_folder(tmp_path / "shops", "")


@pytest.fixture
def job(store: DirectoryStore, base: Base, noon: datetime) -> Job:
    """To borrow from the lender."""
    run.opened_base.cache_clear()
    return Job(
        store=str(store.root), base=base.name, ranker="default", config="", candidates="judged", seed=7,
        promote=True, now=noon,
    )  # fmt: skip


def test_one_failure_does_not_stop_the_others(
    shops: tuple[Member, ...], job: Job, store: DirectoryStore, tmp_path: Path
) -> None:
    """Two are published and promoted, two are told with what is wrong with them."""
    found = {each.tenant: each for each in train_all(shops, job, tmp_path / "work", 1)}
    assert {name: each.kind == "failed" for name, each in found.items()} == {
        "NO": True, "broken": True, "fresh": False, "rated": False,
    }  # fmt: skip
    assert "qrels.tsv:1" in found["broken"].reasons[0]
    assert "is no name" in found["NO"].reasons[0]
    assert store.promotion("rated", "default").version == found["rated"].version
    assert found["fresh"].kind == "base"
    assert {line.kind: line.tenants for line in summary(list(found.values()))}["failed"] == 2
    told = as_json(job.base, list(found.values()))
    assert [each["tenant"] for each in told["tenants"]] == ["NO", "broken", "fresh", "rated"]


def test_what_is_done_is_not_done_again(
    shops: tuple[Member, ...], job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run fits nobody and tells the same; with another seed everybody is fitted again."""
    first = list(train_all(shops, job, tmp_path / "work", 1))
    fitted: list[str] = []
    real = run.borrow_and_publish

    def counting(task: Any, target: Any, *rest: Any) -> Any:
        fitted.append(target.tenant)
        return real(task, target, *rest)

    monkeypatch.setattr(run, "borrow_and_publish", counting)
    assert list(train_all(shops, job, tmp_path / "work", 1)) == first
    assert fitted == []
    list(train_all(shops, replace(job, seed=8), tmp_path / "work", 1))
    assert sorted(fitted) == ["fresh", "rated"]


def test_a_killed_run_goes_on_where_it_was(
    shops: tuple[Member, ...],
    job: Job,
    store: DirectoryStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed between publishing a tenant and noting that: an hour later the same version comes of it."""
    rated = [each for each in shops if each.tenant == "rated"]
    (done,) = train_all(rated, job, tmp_path / "first", 1)
    versions = store.versions("rated", "default")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run, "outcome", killed)
        with pytest.raises(KeyboardInterrupt):
            list(train_all(rated, job, tmp_path / "work", 1))
    later = replace(job, now=job.now + timedelta(hours=1))
    (again,) = train_all(rated, later, tmp_path / "work", 1)
    assert again == done
    assert store.versions("rated", "default") == versions


def test_a_version_that_is_gone_is_made_again(shops: tuple[Member, ...], job: Job, tmp_path: Path) -> None:
    """What the work folder says is done counts only as long as the store has it."""
    rated = [each for each in shops if each.tenant == "rated"]
    (done,) = train_all(rated, job, tmp_path / "work", 1)
    other = replace(job, store=str(tmp_path / "other"), promote=False)
    run.opened_base.cache_clear()
    base = run.opened_base(job.store, job.base)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run, "opened_base", lambda *_: base)
        (again,) = train_all(rated, other, tmp_path / "work", 1)
    assert again.version == done.version
    assert DirectoryStore(tmp_path / "other").versions("rated", "default") == (done.version,)


def test_a_process_that_dies_takes_one_tenant_with_it() -> None:
    """The others have their outcome, and the one says why it has none."""
    members = [Member(tenant=name, path="") for name in ("ants", "fatal", "bees", "cats")]
    found = {each.tenant: each for each in shared_out(members, fatal, 2)}
    assert {name: each.kind for name, each in found.items()} == {
        "ants": "base", "fatal": "failed", "bees": "base", "cats": "base",
    }  # fmt: skip
    assert found["fatal"].reasons == (DIED,)


def test_two_processes_make_what_one_makes(shops: tuple[Member, ...], job: Job, tmp_path: Path) -> None:
    """The same outcomes, versions among them."""
    alone = {each.tenant: each for each in train_all(shops, job, tmp_path / "one", 1)}
    both = {each.tenant: each for each in train_all(shops, job, tmp_path / "two", 2)}
    assert both == alone


def test_surprises_are_outcomes(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of no class of ours is told by its name, and does not end the run."""
    monkeypatch.setattr(run, "trained", lambda *_: {}["nothing"])
    found = run.train_one(Member(tenant="odd", path=""), job, tmp_path)
    assert (found.kind, found.reasons) == ("failed", ("KeyError: 'nothing'",))
    assert partial(Outcome, tenant="odd", kind="failed")().gain == 0
