"""A base over the tenants that agreed, and what each is compared with."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from cascade.config import CascadeConfig
from cascade.stages.lambdamart import MODEL
from cascade.store import DirectoryStore
from cascade.tenants import Tenant, Tenants
from features.errors import InvalidInput
from training.borrowing.base import APART, open_base
from training.borrowing.members import in_folder
from training.borrowing.pool import Pool, parted, pooled, sharing, train_base
from training.borrowing.testing import write_shop
from training.publish import Target, Task
from training.trainers import Context

NAMES = ("ants", "bees", "cats", "dogs")
Share = Callable[[DirectoryStore, str], Tenant]


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four shops whose documents and queries have the same ids."""
    root: Path = tmp_path_factory.mktemp("shops")
    for seed, name in enumerate(NAMES):
        write_shop(root / name, 20 + 5 * seed, seed=seed)
    return root


@pytest.fixture(scope="module")
def pool(shops: Path) -> Pool:
    """All four together."""
    return pooled({each.tenant: each.collection() for each in in_folder(shops, "")})


def task(config: CascadeConfig, pool: Pool) -> Task:
    """The cascade over all four."""
    return Task(config, pool.collection, "judged")


def test_only_who_agreed_is_learned_from(shops: Path, tmp_path: Path, share: Share) -> None:
    """One agreed, one was declared and did not, two were never declared: one is in."""
    store = DirectoryStore(tmp_path / "store")
    share(store, "bees")
    Tenants(store.root).add("cats", Tenant())
    agreed, others = sharing(in_folder(shops, ""), Tenants(store.root))
    assert [each.tenant for each in agreed] == ["bees"]
    assert others == ("ants", "cats", "dogs")


def test_ids_of_tenants_do_not_meet(pool: Pool) -> None:
    """Documents and queries carry their tenant's name, and every judgment stays within it."""
    assert len(pool.collection.queries) == sum(20 + 5 * seed for seed in range(4))
    assert pool.members["bees/q3"] == "bees"
    for query, judged in pool.collection.grades.items():
        assert {name.split("/")[0] for name in judged} == {query.split("/")[0]}
        assert all(name in pool.collection.documents.ids for name in judged)
    documents = pool.collection.documents
    assert documents.rows[documents.ids["cats/q0d0"]] != documents.rows[documents.ids["bees/q0d0"]]


def test_nothing_to_pool_is_an_error() -> None:
    """A base of nobody is none."""
    with pytest.raises(InvalidInput, match="no tenant that shares"):
        pooled({})


def test_parts_hold_whole_tenants() -> None:
    """Every tenant has one part, none is empty; a lone tenant cannot be parted."""
    owners = ["a"] * 50 + ["b"] * 30 + ["c"] * 20 + ["d"] * 10
    part = parted(owners, 3, 7)
    assert set(part) == {"a", "b", "c", "d"}
    assert sorted(set(part.values())) == [0, 1, 2]
    assert parted(["a"] * 5, 3, 7) == {}
    assert parted(owners, 0, 7) == {}


def test_a_base_tells_whose_labels_went_in_and_judges_each_without(
    pool: Pool, config: CascadeConfig, tmp_path: Path, noon: datetime
) -> None:
    """Sources with their part; a tenant's steps are not the ones that serve, and those of a stranger are."""
    target = Target(DirectoryStore(tmp_path / "store"), "everybody", "default")
    version, _, sources = train_base(task(config, pool), pool, 2, target, Context(), noon)
    base = open_base(target.store, f"everybody/default@{version}")
    assert base.sources == sources
    assert [each.tenant for each in sources] == list(NAMES)
    assert [each.queries for each in sources] == [20, 25, 30, 35]
    mine = base.steps("bees", "")[-1].stage
    part = base.source_of("bees", "").part  # type: ignore[union-attr]
    text = (base.stages / "trees" / APART / str(part) / MODEL).read_text()
    assert mine.booster.model_to_string() != base.ranker.steps[-1].stage.booster.model_to_string()  # type: ignore[attr-defined]
    assert text != (base.stages / "trees" / MODEL).read_text()
    assert base.steps("stranger", "") is base.ranker.steps


def test_what_serves_lacks_the_parts(
    pool: Pool, config: CascadeConfig, tmp_path: Path, noon: datetime
) -> None:
    """A borrower's bundle carries the base's stages and not those that were made to judge it."""
    target = Target(DirectoryStore(tmp_path / "store"), "everybody", "default")
    version, _, _ = train_base(task(config, pool), pool, 2, target, Context(figures=False), noon)
    open_base(target.store, f"everybody/default@{version}").copy_stages(tmp_path / "copy")
    assert {path.name for path in (tmp_path / "copy" / "trees").iterdir()} == {MODEL}
